"""What a command promises whatever fault hits it, and how to run it and check that.

`scenarios.py` has the commands; `test_faults.py`, `test_power_loss.py` and `test_full_disk.py`
inject the faults.
"""

import json
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from abathur_schema.commands.chain import run_plan, run_task
from tests.support import older
from tests.support.bundle import Report, reports, valid
from tests.support.commands import run

FAST = "--seccomp-bpf"
"""Stops at the traced calls alone; strace then cannot kill at one."""


Columns = Mapping[str, Sequence[str]]


T = TypeVar("T")


class Content(NamedTuple):
    """All that a database holds: the rows of sqlite_schema, and a digest of each table."""

    schema: frozenset[tuple[Any, ...]]
    rows: Mapping[str, str]


def content(database: Path, columns: Columns | None = None) -> Content | None:
    """What a database holds as SQLite recovers it, of all tables or of these `columns`; None where
    there is no file. A copy is read, so that the next run meets what the fault left.
    """
    if not database.exists():
        return None
    copy = database.with_name("looked-at.db")
    for suffix in ("", "-wal", "-journal"):
        with suppress(FileNotFoundError):
            shutil.copy(f"{database}{suffix}", f"{copy}{suffix}")
    try:
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
            found = frozenset(schema.fetchall())
            wanted = columns or columns_of(connection)
            return Content(found, {table: _digest(connection, table, wanted) for table in wanted})
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)


def columns_of(connection: sqlite3.Connection) -> Columns:
    """The columns of every table."""
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {name: older.columns_of(connection, name) for (name,) in tables}


def _digest(connection: sqlite3.Connection, table: str, wanted: Columns) -> str:
    there = older.columns_of(connection, table)
    assert there, f"table {table} is lost"
    renamed = "template_name" if "template_name" in there else "prompt"
    names = [renamed if name == "template_name" else name for name in wanted[table]]
    return older.digest(connection, table, names)


class Outcome(NamedTuple):
    """How a run with a fault ended; `killed` by the fault; `signalled`: asked to stop by it."""

    code: int
    output: str
    error: str
    signalled: bool = False

    @property
    def killed(self) -> bool:
        return self.code == -9


@dataclass
class Scenario:
    """What is run, where, and what is held to be true when a fault came.

    `start` is the folder with what is there before, `before` and `after` are what the database
    holds at the start and after a run without a fault. `database` and `reports` are where these
    are in the folder.
    """

    start: Path
    database: str = "abathur.db"
    reports: str = "reports"
    before: Content | None = None
    after: Content | None = None

    task = "run_task('init', {0.database!r}, {0.reports!r}, as_json=False)"
    ends_with = 0
    exit_codes: ClassVar[Sequence[int]] = (0, 2, 3)
    done = "finished"
    """What `check` says when all is done; the report is there then, too."""

    def prepare(self) -> None:
        """Make what is there before."""

    def look(self, folder: Path) -> Content | None:
        """What the database holds."""
        return content(folder / self.database)

    def check(self, folder: Path, outcome: Outcome) -> str:
        """Hold what the fault left against the promises; the name of the state that it is in."""
        raise NotImplementedError

    def again(self, folder: Path) -> None:
        """The same once more, without a fault, ends well."""
        assert run_task("init", *self.paths(folder), as_json=False) == 0
        assert self.look(folder) == self.after
        assert run_plan(*self.paths(folder), as_json=False) == 0

    def paths(self, folder: Path) -> tuple[str, str]:
        """The database and the reports, as a task takes them."""
        return str(folder / self.database), str(folder / self.reports)

    def said(self, folder: Path) -> list[Report]:
        """The reports there, each held against the JSON Schema."""
        return reports(folder / self.reports)

    def kept(self, folder: Path, columns: Columns | None = None) -> list[Content | None]:
        """What each database holds that is kept in the folder of reports."""
        found = (folder / self.reports).glob("*/database.db")
        return [content(path, columns) for path in found]

    def command(self) -> list[str]:
        """The command line that runs the task, without the time that Invoke takes."""
        names = "from abathur_schema.commands.chain import run_restore, run_task"
        code = f"import sys; {names}; sys.exit({self.task.format(self)})"
        return [sys.executable, "-c", code]

    def run(self, folder: Path, *before: str) -> Outcome:
        """Run it in `folder`, with what comes `before` the command line."""
        result = run([*before, *self.command()], folder, PYTHONDONTWRITEBYTECODE="1")
        return Outcome(result.returncode, result.stdout, result.stderr)

    def traced(self, folder: Path, *options: str) -> tuple[Outcome, list[str]]:
        """Run it under strace in a copy of `start`; the lines are the calls that it made."""
        shutil.copytree(self.start, folder)
        trace = folder.with_name(f"{folder.name} trace")
        outcome = self.run(folder, "strace", "-f", "-y", "-o", str(trace), *options)
        lines = trace.read_text("utf-8", "replace").splitlines()
        trace.unlink()
        signalled = any(" --- SIGINT " in line or " --- SIGTERM " in line for line in lines)
        return outcome._replace(signalled=signalled), lines

    def set_up(self, folder: Path, *options: str) -> tuple[Outcome, list[str]]:
        """Make it, and run it once in `folder` without a fault, traced."""
        self.make()
        outcome, lines = self.traced(folder, FAST, *options)
        self.ended(folder, outcome)
        return outcome, lines

    def make(self) -> None:
        """Make what is there before."""
        self.start.mkdir()
        self.prepare()
        self.before = self.look(self.start)

    def ended(self, folder: Path, outcome: Outcome) -> None:
        """Take in what came of a run without a fault."""
        assert outcome.code == self.ends_with, outcome.error
        self.after = self.look(folder)

    def check_reports(self, folder: Path, outcome: Outcome | None) -> None:
        """Each report is whole and true of what is there, and each kept database is sound."""
        for path in (folder / self.reports).rglob("*.json"):
            valid(json.loads(path.read_text("utf-8")))
        assert all(self.kept(folder))
        if outcome and not outcome.killed:
            found = self.said(folder)
            if outcome.code == 0:
                assert len(found) == 1
            if any(one["execution_status"]["status"] == "SUCCESS" for one in found):
                assert self.look(folder) == self.after

    def hold(self, folder: Path, outcome: Outcome) -> str:
        """Hold what a fault left against all promises, and run it once more; the name of the state
        that it left.
        """
        self.check_reports(folder, outcome)
        state = self.check(folder, outcome)
        self.again(folder)
        self.check_reports(folder, None)
        return state

    def check_words(self, folder: Path, outcome: Outcome, stopped: int | None = None) -> None:
        """An error is told in words, with one of the exit codes, or the one of being `stopped`."""
        assert outcome.code in (*self.exit_codes, stopped), outcome.error
        assert "Traceback" not in outcome.output + outcome.error
        assert not outcome.code or outcome.error.strip() or outcome.code == 1
        if outcome.code == 2:
            assert self.look(folder) == self.before, "exit code 2, and something was touched"

    def left_behind(self, folder: Path) -> list[Path]:
        """Temporary files."""
        return [*(folder / self.reports).rglob(".*"), *folder.glob(".*")]


def hold_all(faults: Iterable[T], hold: Callable[[T], str]) -> Counter[str]:
    """Hold each of the faults against the promises; how often it ended how. All that is wrong is
    told at once, by the names of the faults.
    """
    outcomes: Counter[str] = Counter()
    wrong = []
    for fault in faults:
        try:
            outcomes[hold(fault)] += 1
        except (AssertionError, OSError, sqlite3.Error, ValueError) as error:
            wrong.append(f"{fault}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)
    return outcomes
