"""Run a command under a fault, and check what it promises whatever fault hits it.

`scenarios.py` defines the commands; `test_faults.py`, `test_power_loss.py` and `test_full_disk.py`
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

from abathur_schema.commands.tasks import run_plan, run_task
from tests.support import older
from tests.support.bundle import Report, reports, valid
from tests.support.commands import run

FAST = "--seccomp-bpf"
"""Makes strace stop only at the traced calls; it then cannot kill a process at one."""

Columns = Mapping[str, Sequence[str]]

T = TypeVar("T")


class Content(NamedTuple):
    """What a database holds: the rows of sqlite_schema, and a digest of each table."""

    schema: frozenset[tuple[Any, ...]]
    rows: Mapping[str, str]


def content(database: Path, columns: Columns | None = None) -> Content | None:
    """Return what a database holds after SQLite has recovered it, in all tables or only in these
    `columns`; None if there is no file. Reads a copy, so the next run finds what the fault left.
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
    """Return the columns of every table."""
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {name: older.columns_of(connection, name) for (name,) in tables}


def _digest(connection: sqlite3.Connection, table: str, wanted: Columns) -> str:
    there = older.columns_of(connection, table)
    assert there, f"table {table} is lost"
    renamed = "template_name" if "template_name" in there else "prompt"
    names = [renamed if name == "template_name" else name for name in wanted[table]]
    return older.digest(connection, table, names)


class Outcome(NamedTuple):
    """How a run ended. `killed`: by the fault. `signalled`: it received SIGINT or SIGTERM."""

    code: int
    output: str
    error: str
    signalled: bool = False

    @property
    def killed(self) -> bool:
        return self.code == -9


@dataclass
class Scenario:
    """A command, where it runs, and what it promises if a fault hits it.

    `start` is the folder before the run; `before` and `after` are what the database holds then, and
    after a run without a fault. `database` and `reports` are paths inside the folder.
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
    """The state that `check` returns once everything is done and the report is written."""

    def prepare(self) -> None:
        """Create the content of `start`."""

    def look(self, folder: Path) -> Content | None:
        """Return what the database holds."""
        return content(folder / self.database)

    def check(self, folder: Path, outcome: Outcome) -> str:
        """Check the promises against what the fault left; return the state found."""
        raise NotImplementedError

    def again(self, folder: Path) -> None:
        """Run the command again without a fault; it must succeed."""
        assert run_task("init", *self.paths(folder), as_json=False) == 0
        assert self.look(folder) == self.after
        assert run_plan(*self.paths(folder), as_json=False) == 0

    def paths(self, folder: Path) -> tuple[str, str]:
        """Return the paths of the database and the reports, as arguments of a task."""
        return str(folder / self.database), str(folder / self.reports)

    def said(self, folder: Path) -> list[Report]:
        """Return the reports, each validated against the JSON Schema."""
        return reports(folder / self.reports)

    def kept(self, folder: Path, columns: Columns | None = None) -> list[Content | None]:
        """Return the contents of the databases kept in the reports folder."""
        found = (folder / self.reports).glob("*/database.db")
        return [content(path, columns) for path in found]

    def command(self) -> list[str]:
        """Return the command line that runs the task without Invoke, to save its startup time."""
        name = self.task.partition("(")[0]
        modules = {"run_backup": "operation", "run_vacuum": "operation", "run_forget": "forget"}
        module = modules.get(name, "tasks")
        names = f"from abathur_schema.commands.{module} import {name}"
        code = f"import sys; {names}; sys.exit({self.task.format(self)})"
        return [sys.executable, "-c", code]

    def run(self, folder: Path, *before: str) -> Outcome:
        """Run the command in `folder`, with `before` in front of the command line."""
        result = run([*before, *self.command()], folder, PYTHONDONTWRITEBYTECODE="1")
        return Outcome(result.returncode, result.stdout, result.stderr)

    def traced(self, folder: Path, *options: str) -> tuple[Outcome, list[str]]:
        """Run the command under strace in a copy of `start`; also return the trace lines."""
        shutil.copytree(self.start, folder)
        trace = folder.with_name(f"{folder.name} trace")
        outcome = self.run(folder, "strace", "-f", "-y", "-o", str(trace), *options)
        lines = trace.read_text("utf-8", "replace").splitlines()
        trace.unlink()
        signalled = any(" --- SIGINT " in line or " --- SIGTERM " in line for line in lines)
        return outcome._replace(signalled=signalled), lines

    def set_up(self, folder: Path, *options: str) -> tuple[Outcome, list[str]]:
        """Create `start`, and run the command once in `folder`, traced and without a fault."""
        self.make()
        outcome, lines = self.traced(folder, FAST, *options)
        self.ended(folder, outcome)
        return outcome, lines

    def make(self) -> None:
        """Create `start`, and record what its database holds."""
        self.start.mkdir()
        self.prepare()
        self.before = self.look(self.start)

    def ended(self, folder: Path, outcome: Outcome) -> None:
        """Check how a run without a fault ended, and record what its database holds."""
        assert outcome.code == self.ends_with, outcome.error
        self.after = self.look(folder)

    def check_reports(self, folder: Path, outcome: Outcome | None) -> None:
        """Check that each report is complete and true, and that each kept database is sound."""
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
        """Check all promises against what a fault left, run the command again, and return the state
        that the fault left.
        """
        self.check_reports(folder, outcome)
        state = self.check(folder, outcome)
        self.again(folder)
        self.check_reports(folder, None)
        return state

    def check_words(self, folder: Path, outcome: Outcome, stopped: int | None = None) -> None:
        """Check that an error comes with a message and one of our exit codes, or `stopped`."""
        assert outcome.code in (*self.exit_codes, stopped), outcome.error
        assert "Traceback" not in outcome.output + outcome.error
        assert not outcome.code or outcome.error.strip() or outcome.code == 1
        if outcome.code == 2:
            assert self.look(folder) == self.before, "exit code 2, and something was touched"

    def left_behind(self, folder: Path) -> list[Path]:
        """Return the temporary files that were left behind."""
        return [*(folder / self.reports).rglob(".*"), *folder.glob(".*")]


def hold_all(faults: Iterable[T], hold: Callable[[T], str]) -> Counter[str]:
    """Check the promises for each fault; return how many runs ended in each way. All broken
    promises are reported together, by fault.
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
