"""A full disk of every size: nothing is lost, and the next run, with enough room, ends well.

The normal run tries a sample of the sizes, `pytest -m faults` all of them. Each size is a file
system of its own, from one page of room upwards until there is enough.
"""

import shutil
import subprocess
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest

from tests.support.machine import disk_of
from tests.support.promises import Outcome, Scenario, hold_all
from tests.support.scenarios import SCENARIOS

PAGE = 4096
ROOMY = 64 * 1024 * 1024
SIZES = range(1, ROOMY // PAGE // 2)

ENOUGH = 8
"""The last sizes tried: so many in a row that had enough room."""

SAMPLE = 40
"""Pages of room in the normal run: enough for a report, and not for much else."""

NAMES = ("fresh", "upgrade", "restore")
WHERE = ("the same disk", "another disk")
"""Where the reports go."""


def resize(disk: Path, size: int) -> None:
    """Resize a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def run_with(scenario: Scenario, pages: int, disk: Path) -> Outcome:
    """Run it on `disk` with so many pages of room, and make room again."""
    shutil.copytree(scenario.start, disk, dirs_exist_ok=True)
    used = shutil.disk_usage(disk).used
    resize(disk, used + pages * PAGE)
    outcome = scenario.run(disk)
    resize(disk, ROOMY)
    return outcome


def meet(scenario: Scenario, pages: int, folder: Path) -> str:
    """Run it with so much room, and check its promises; returns how it ended."""
    shutil.rmtree(scenario.reports, ignore_errors=True)  # where they are elsewhere
    with disk_of(ROOMY, folder / f"{pages} pages") as disk:
        outcome = run_with(scenario, pages, disk)
        scenario.check_words(disk, outcome)
        assert not scenario.left_behind(disk)
        state = scenario.hold(disk, outcome)
    return f"exit code {outcome.code}, {state}"


def made(name: str, folder: Path) -> Scenario:
    """The scenario of that name, after a run with enough room."""
    scenario = SCENARIOS[name](folder / "start")
    scenario.make()
    with disk_of(ROOMY, folder / "roomy") as disk:
        shutil.copytree(scenario.start, disk, dirs_exist_ok=True)
        scenario.ended(disk, scenario.run(disk))
    return scenario


@pytest.mark.parametrize("name", NAMES)
def test_full_disk_of_one_size(name: str, tmp_path: Path) -> None:
    assert meet(made(name, tmp_path), SAMPLE, tmp_path).startswith("exit code 3")


@pytest.mark.faults
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", NAMES)
def test_full_disk_of_every_size(
    name: str, where: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    scenario = made(name, tmp_path)
    if where == WHERE[1]:
        scenario.reports = str(tmp_path / "reports")
    done = f"exit code {scenario.ends_with}, {scenario.done}"
    enough = 0

    def hold(pages: int) -> str:
        nonlocal enough
        ended = meet(scenario, pages, tmp_path)
        enough = enough + 1 if ended == done else 0
        return ended

    outcomes = hold_all(takewhile(lambda _: enough < ENOUGH, SIZES), hold)
    record_property("faults", (f"{name}, full disk, reports on {where}", dict(outcomes)))
