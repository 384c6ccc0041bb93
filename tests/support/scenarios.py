"""What a fault comes to: commands on databases of their own, and what is held to be true of them
when it came. `test_faults.py`, `test_power_loss.py` and `test_full_disk.py` make the faults.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import pytest

from abathur_schema.commands.chain import run_plan, run_restore, run_task
from tests.conftest import Report, reports, run, valid
from tests.support import older

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


def files(folder: Path) -> dict[str, bytes]:
    """The content of each file in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def need_strace() -> None:
    """Skip the test where strace is not there, or may not trace."""
    trial = ["strace", "-o", os.devnull, "true"]
    if not shutil.which("strace") or subprocess.run(trial, check=False).returncode:
        pytest.skip("strace is not here, or may not trace")


class Fresh(Scenario):
    """`init` where nothing is."""

    def check(self, folder: Path, outcome: Outcome) -> str:
        found = self.look(folder)
        if found is None:
            return "no file"
        if outcome.signalled:  # what is told to be made is there, and no step is half done
            (report,) = self.said(folder)
            made = report["deliverables"]["tables_created"]
            assert sorted(made) == sorted(set(found.rows) - {"sqlite_sequence"})
        return "finished" if found == self.after else "not finished"


class Upgrade(Scenario):
    """`init` on a database of generation 1 with things of its own: tasks is rebuilt."""

    columns: Columns
    generation = 1
    rows: ClassVar[Mapping[str, Any]] = {"tasks": 30, "audit": 30, "extended": True}
    """What `older.make` puts in."""

    def prepare(self) -> None:
        database = self.start / self.database
        older.make(database, self.generation, **self.rows)
        with closing(sqlite3.connect(database)) as connection:
            self.columns = columns_of(connection)

    def look(self, folder: Path) -> Content | None:
        return content(folder / self.database, self.columns)

    def check(self, folder: Path, outcome: Outcome) -> str:
        found, before = self.look(folder), self.before
        assert found
        assert before
        assert found.rows == before.rows, "a row is lost"
        kept = self.kept(folder, self.columns)
        assert all(one and one.rows == before.rows for one in kept)
        core = {step["status"] for one in self.said(folder) for step in one["steps"][1:2]}
        if found.schema == before.schema:
            assert not core & {"changed"}, "the report says that core is done"
            return "as it was"
        assert not core & {"failed", "skipped"}, "the report says that core is not done"
        assert before in kept, "tasks is rebuilt, and there is no copy of what was before"
        return "finished" if found == self.after else "rebuilt"


class Text(Upgrade):
    """`init` on a database of generation 3: columns are added, and constraints are changed by the
    text of the tables alone; no row is written and no copy is kept.
    """

    generation = 3

    def check(self, folder: Path, outcome: Outcome) -> str:
        found, before = self.look(folder), self.before
        assert found
        assert before
        assert found.rows == before.rows, "a row is lost"
        core = {step["status"] for one in self.said(folder) for step in one["steps"][1:2]}
        if found.schema == before.schema:
            assert not core & {"changed"}, "the report says that core is done"
            return "as it was"
        assert not core & {"failed", "skipped"}, "the report says that core is not done"
        return "finished" if found == self.after else "changed"


class Failing(Scenario):
    """`init` on a database that it cannot bring to the declared form: the state is preserved."""

    ends_with = 3
    done = "the state kept"

    def prepare(self) -> None:
        with closing(sqlite3.connect(self.start / self.database)) as connection:
            connection.executescript(
                "CREATE VIEW audit AS SELECT 1; CREATE TABLE mine (x); INSERT INTO mine VALUES (1)"
            )

    def check(self, folder: Path, outcome: Outcome) -> str:
        assert outcome.killed or outcome.code not in (0, 1)
        assert self.look(folder) == self.before
        kept = self.kept(folder)
        assert all(one == self.before for one in kept)
        if not kept and outcome.code == 3:
            assert "not preserved: database.db" in outcome.error
        return "the state kept" if kept else "the state not kept"

    def again(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / self.database)) as connection:
            connection.execute("DROP VIEW audit")
        assert run_task("init", *self.paths(folder), as_json=False) == 0
        assert run_plan(*self.paths(folder), as_json=False) == 0


class Verify(Scenario):
    """`verify` on a finished database: all that it writes is its report."""

    task = "run_task('verify', {0.database!r}, {0.reports!r}, as_json=False)"
    exit_codes = (0, 1, 2, 3)
    done = "a report"

    def prepare(self) -> None:
        assert run_task("init", *self.paths(self.start), as_json=False) == 0
        shutil.rmtree(self.start / self.reports)

    def check(self, folder: Path, outcome: Outcome) -> str:
        database = folder / self.database
        assert database.read_bytes() == (self.start / self.database).read_bytes()
        return "a report" if [*(folder / self.reports).glob("*.json")] else "no report"

    def again(self, folder: Path) -> None:
        assert run_task("verify", *self.paths(folder), as_json=False) == 0


class Restore(Scenario):
    """`restore` of what was before an upgrade, over a database whose last row is in its `-wal`."""

    task = "run_restore('state', {0.database!r}, {0.reports!r}, as_json=False)"
    done = "restored"

    def prepare(self) -> None:
        database = self.start / "made.db"
        older.make(database, 1, tasks=30, audit=30, extended=True)
        made = self.start / "made"
        assert run_task("init", str(database), str(made), as_json=False) == 0
        (before,) = made.glob("*-before")
        before.rename(self.start / "state")
        with closing(sqlite3.connect(database)) as application:
            application.execute("INSERT INTO sessions (id, app_name, user_id) VALUES (1, 2, 3)")
            application.commit()
            for suffix in ("", "-wal"):
                shutil.copy(f"{database}{suffix}", f"{self.start / self.database}{suffix}")
        shutil.rmtree(made)
        database.unlink()

    def check(self, folder: Path, outcome: Outcome) -> str:
        assert files(folder / "state") == files(self.start / "state")
        assert "is damaged" not in outcome.error
        found = self.look(folder)
        if found == self.before:
            assert outcome.code != 0
            return "as it was"
        assert found == self.after, "neither the old one nor the restored one"
        told_of = [one["human_readable_summary"] for one in self.said(folder)]
        assert not [summary for summary in told_of if "stands as it was" in summary]
        assert self.kept(folder) == [self.before], "what was replaced is not kept"
        return "restored"

    def again(self, folder: Path) -> None:
        assert run_restore(str(folder / "state"), *self.paths(folder), as_json=False) == 0
        assert self.look(folder) == self.after
        assert files(folder / "state") == files(self.start / "state")
        assert not [*folder.glob(".*")]


SCENARIOS: Mapping[str, type[Scenario]] = {
    "upgrade": Upgrade,
    "text": Text,
    "restore": Restore,
    "fresh": Fresh,
    "failing": Failing,
    "verify": Verify,
}
