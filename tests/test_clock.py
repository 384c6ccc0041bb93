"""The system clock stands still, jumps or is centuries off: nothing is overwritten or lost, and
waits last as long as they should.
"""

import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer

import pytest

from abathur_schema.commands.tasks import run_task
from tests.support import clock, older
from tests.support.bundle import Bundle, Report, reports
from tests.support.commands import ROOT, invoke_command, run
from tests.support.promises import content

ROUNDS = 4

BUSY_TIMEOUT = 5
"""Seconds, from `sql/pragma.sql`; a step that meets a lock is tried twice."""


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def durations(report: Report) -> Iterator[float]:
    for one in (*report["steps"], *report["checks"]):
        yield one["duration_ms"]


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(database: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the write lock until its standard input is closed."""
    command = [sys.executable, "-c", HOLDER, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield process


class Workshop:
    """An older database, another that `init` cannot upgrade, and commands that run with a clock."""

    def __init__(self, folder: Path, hands: str) -> None:
        self.folder = folder
        self.reports = folder / "reports"
        folder.mkdir()
        older.make(folder / "older.db", 1, tasks=30, audit=30, extended=True)
        with closing(sqlite3.connect(folder / "taken.db")) as connection:
            connection.executescript("CREATE VIEW audit AS SELECT 1")
        self.variables = clock.variables(hands, folder.parent)
        self.outcomes: Counter[str] = Counter()

    def run(self, code: int, *arguments: str) -> float:
        """Run `invoke`, and check that it leaves one more report and all older files as they were.
        Returns the seconds it took.
        """
        kept, known = files_of(self.reports), len([*self.reports.glob("*.json")])
        started = time.monotonic()
        result = run(invoke_command(*arguments), self.folder, ROOT, **self.variables)
        lasted = time.monotonic() - started
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stdout + result.stderr
        now = files_of(self.reports)
        assert {path: now.get(path) for path in kept} == kept, "something was overwritten"
        found = reports(self.reports)
        assert len(found) == known + 1, "not one report more"
        for report in found:
            assert all(0 <= one <= 60_000 for one in durations(report))
        assert not [*self.reports.rglob(".*"), *self.folder.glob(".*")], "a temporary file"
        self.outcomes[f"exit code {code}, all kept"] += 1
        return lasted

    def states(self) -> set[Path]:
        return {path for path in self.reports.iterdir() if path.is_dir()}


def go_through(hands: str, folder: Path) -> Counter[str]:
    """Run every command that leaves files; twice if the second run meets those of the first."""
    shop = Workshop(folder, hands)
    before = content(folder / "older.db")
    for suffix in ("alone.db", "old.db"):
        shutil.copy(folder / "older.db", folder / suffix)
    alone = folder / "alone.db"
    assert run_task("init", str(alone), f"{folder} alone", as_json=False) == 0
    after = content(alone)

    shop.run(0, "init", "-d", "older.db")
    (copy,) = shop.states()
    assert content(folder / "older.db") == after
    shop.run(0, "init", "-d", "older.db")
    shop.run(0, "verify", "-d", "older.db")
    shop.run(0, "restore", str(copy), "-d", "older.db")
    assert content(folder / "older.db") == before
    shop.run(3, "init", "-d", "taken.db")
    shop.run(3, "init", "-d", "taken.db")
    # As a killed run leaves a state without its report, or someone who deletes the reports.
    for path in shop.reports.glob("*.json"):
        path.unlink()
    shop.run(0, "init", "-d", "old.db")
    assert content(folder / "old.db") == after
    shop.run(3, "init", "-d", "taken.db")
    assert len(shop.states()) == 6
    return shop.outcomes


def test_clock_that_stands_still(tmp_path: Path) -> None:
    go_through("stands still", tmp_path / "shop")


@pytest.mark.faults
@pytest.mark.parametrize("hands", clock.CLOCKS)
def test_clock_many_times(
    hands: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(ROUNDS):
        outcomes += go_through(hands, tmp_path / f"{number}")
        shutil.rmtree(tmp_path / f"{number}")
    record_property("faults", (f"the clock: {hands}", dict(outcomes)))


@pytest.mark.faults
@pytest.mark.parametrize("hands", clock.CLOCKS)
def test_wait_for_a_lock_is_not_by_the_clock(
    hands: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """`init` waits for a lock of two seconds, and gives up in time on one that stays."""
    shop = Workshop(tmp_path / "shop", hands)
    bundle = Bundle(shop.folder)
    assert bundle.run("pragma") == 0
    shutil.rmtree(shop.reports)
    with held(bundle.path) as holder:
        assert holder.stdin
        Timer(2, holder.stdin.close).start()
        assert 2 < shop.run(0, "init") < 2 + BUSY_TIMEOUT
    bundle.sql("DROP INDEX idx_agents_state")
    with held(bundle.path):
        assert 2 * BUSY_TIMEOUT - 1 < shop.run(3, "init") < 4 * BUSY_TIMEOUT
    failures = [one["failure"] for one in reports(shop.reports) if one["failure"]]
    assert ["database is locked" in one["error"] for one in failures] == [True]
    assert bundle.run("init") == 0
    record_property("faults", (f"waits, the clock: {hands}", dict(shop.outcomes)))
