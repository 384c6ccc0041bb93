"""Ten `init` at once on one file: all end well, and exactly one reports each thing made."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from abathur_schema.commands.tasks import run_plan, run_task
from tests.support import clock
from tests.support.bundle import Report, reports
from tests.support.commands import environment
from tests.support.scenarios import SCENARIOS

AT_ONCE = 10
PARTS = 5
"""The rounds are split among so many tests, which can run in parallel."""

LATER = 0.2
"""In every other round, each run starts up to so many seconds later, while others work."""

PROCESS = """
import sys, time
from abathur_schema.commands.tasks import run_task
sys.stdin.read()
time.sleep(float(sys.argv[1]))
sys.exit(run_task("init", "abathur.db", "reports", as_json=False))
"""
"""Waits until its standard input ends, with everything it needs loaded."""

MADE = (
    "tables_created",
    "tables_rebuilt",
    "columns_added",
    "indexes_created",
    "indexes_dropped",
    "upgrades_run",
)
CASES = [
    ("fresh", None, 100),
    ("upgrade", None, 100),
    ("fresh", "stands still", 20),
    ("upgrade", "stands still", 20),
]
"""What exists before, the clock, and the number of rounds. With a frozen clock, all runs want
the same name for their report.
"""


def together(folder: Path, delays: Sequence[float], **variables: str) -> None:
    """Run `init` once for each of `delays`, from one moment on; all must exit with 0, silently."""
    gun, trigger = os.pipe()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(delay)],
            cwd=folder,
            env=environment() | variables,
            stdin=gun,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for delay in delays
    ]
    os.close(gun)
    time.sleep(0.5)
    os.close(trigger)
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in running]
    assert ended == [("", 0)] * len(delays)


def told(found: Sequence[Report]) -> Counter[tuple[str, str]]:
    """How often the reports name each thing that was made."""
    return Counter(
        (kind, name) for one in found for kind in MADE for name in one["deliverables"][kind]
    )


def rounds(name: str, hands: str | None, how_many: int, seed: int, folder: Path) -> Counter[str]:
    """Check the promises in so many rounds; returns how often how many processes reported that they
    put the database into WAL mode, which cannot be part of a transaction.
    """
    scenario = SCENARIOS[name](folder / "start")
    scenario.make()
    before = scenario.before
    alone = folder / "alone"
    shutil.copytree(scenario.start, alone)
    assert run_task("init", str(alone / "abathur.db"), str(alone / "reports"), as_json=False) == 0
    after, once = scenario.look(alone), told(reports(alone / "reports"))
    variables = clock.variables(hands, folder) if hands else {}

    chosen = random.Random(seed)
    outcomes: Counter[str] = Counter()
    for number in range(how_many):
        place = folder / f"{number}"
        shutil.copytree(scenario.start, place)
        later = LATER * (number % 2)
        together(place, [later * chosen.random() for _ in range(AT_ONCE)], **variables)
        left = {path.name for path in place.iterdir()} - {"abathur.db", "reports"}
        assert left <= {"abathur.db-wal", "abathur.db-shm"}
        assert not [*(place / "reports").rglob(".*")], "a temporary file"
        found = reports(place / "reports")
        assert len(found) == AT_ONCE
        assert {one["execution_status"]["status"] for one in found} == {"SUCCESS"}
        assert told(found) == once, "something is told twice, or by none"
        files = [path for one in found for path in one["deliverables"]["files_created"]]
        assert len(files) == len({*files}) == (1 if before is None else 3)
        assert scenario.look(place) == after
        if before:
            assert after
            assert after.rows == before.rows, "a row is lost"
            (copy,) = (place / "reports").glob("*-before")
            shutil.copy(copy / "database.db", copy / "abathur.db")
            assert scenario.look(copy) == before
        paths = str(place / "abathur.db"), str(place / "reports")
        assert run_plan(*paths, as_json=False) == 0
        assert run_task("verify", *paths, as_json=False) == 0
        first = Counter(one["steps"][0]["status"] for one in found)["changed"]
        assert first
        ended = f"all exit code 0, WAL told by {first}"
        if (
            left
        ):  # the last two closed it at the same moment, each believing that the other was last
            assert run_task("init", *paths, as_json=False) == 0
            assert {path.name for path in place.iterdir()} == {"abathur.db", "reports"}
            ended += ", the -wal left for the next run"
        outcomes[ended] += 1
        shutil.rmtree(place)
    return outcomes


@pytest.mark.parametrize(("name", "hands"), [("fresh", "stands still"), ("upgrade", None)])
def test_ten_at_once(name: str, hands: str | None, tmp_path: Path) -> None:
    rounds(name, hands, 1, 0, tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("name", "hands", "how_many"), CASES)
def test_ten_at_once_many_times(
    name: str,
    hands: str | None,
    how_many: int,
    part: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    outcomes = rounds(name, hands, how_many // PARTS, part, tmp_path)
    kind = f"{name}, ten at once" + (f", the clock {hands}" if hands else "")
    record_property("faults", (kind, dict(outcomes)))
