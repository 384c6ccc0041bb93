"""A fault at every single write and sync, made for real: nothing is lost, and the next run ends
well. The normal run takes a sample of the points; `pytest -m faults` takes every one.

Each point is a process of its own, in which strace kills or fails one system call.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import older
import pytest
from conftest import Report, reports, run, valid

from abathur_schema.commands import run_plan, run_restore, run_task

SAMPLE = 1
"""Points of each kind in the normal run."""

PARTS = 8
"""Tests among which the points of each kind are dealt out, to run side by side."""

WRITES = ("pwrite64", "write")
SYNCS = ("fsync", "fdatasync")
CHANGES = (*WRITES, "ftruncate", "rename", "unlink", "mkdir")
TERMINAL = "write"
"""The call that also writes to the terminal; a fault in it that stayed would hide what is told."""

FAST = "--seccomp-bpf"
"""Stops at the traced calls alone; strace then cannot kill at one."""


class Fault(NamedTuple):
    """What befalls each of `calls`, as strace's `inject` has it; `stays`: all later ones too."""

    calls: Sequence[str]
    inject: str
    stays: bool = False


FAULTS = {
    "SIGKILL": Fault((*CHANGES, *SYNCS), "signal=KILL"),
    "ENOSPC": Fault(WRITES, "error=ENOSPC", stays=True),
    "EIO": Fault(CHANGES, "error=EIO"),
    "fsync": Fault(SYNCS, "error=EIO"),
}


class Point(NamedTuple):
    """The `number`th `call` of a run; `path` is what it changes, without what differs each time."""

    call: str
    number: int
    path: str

    def __str__(self) -> str:
        return f"{self.call} {self.number} ({self.path})"


class Content(NamedTuple):
    """All that a database holds: the rows of sqlite_schema, and a digest of each table."""

    schema: frozenset[tuple[Any, ...]]
    rows: Mapping[str, str]


Columns = Mapping[str, Sequence[str]]


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
    """How a run with a fault ended; `killed` by the fault."""

    code: int
    output: str
    error: str

    @property
    def killed(self) -> bool:
        return self.code == -9


@dataclass
class Scenario:
    """What is run, where, and what is held to be true when a fault came.

    `start` is the folder with what is there before, `before` and `after` are what the database
    holds at the start and after a run without a fault, `points` are all changes of that run.
    """

    start: Path
    before: Content | None = None
    after: Content | None = None
    points: Sequence[Point] = ()

    code = "run_task('init', 'abathur.db', 'reports', as_json=False)"
    ends_with = 0

    def prepare(self) -> None:
        """Make what is there before."""

    def look(self, folder: Path) -> Content | None:
        """What the database holds."""
        return content(folder / "abathur.db")

    def check(self, folder: Path, outcome: Outcome) -> str:
        """Hold what the fault left against the promises; the name of the state that it is in."""
        raise NotImplementedError

    def again(self, folder: Path) -> None:
        """The same once more, without a fault, ends well."""
        assert run_task("init", *_paths(folder), as_json=False) == 0
        assert self.look(folder) == self.after
        assert run_plan(*_paths(folder), as_json=False) == 0

    def command(self) -> list[str]:
        """The command line that runs the task, without the time that Invoke takes."""
        names = "from abathur_schema.commands import run_restore, run_task"
        return [sys.executable, "-c", f"import sys; {names}; sys.exit({self.code})"]

    def set_up(self) -> None:
        """Make it, and run it once without a fault, to see all of its points."""
        self.start.mkdir()
        self.prepare()
        self.before = self.look(self.start)
        folder = self.start.with_name(f"{self.start.name} without a fault")
        result, calls = self.traced(folder, FAST, "-e", f"trace={','.join((*CHANGES, *SYNCS))}")
        assert result.code == self.ends_with, result.error
        self.after = self.look(folder)
        self.points = calls
        shutil.rmtree(folder)

    def traced(self, folder: Path, *options: str) -> tuple[Outcome, list[Point]]:
        """Run it under strace in a copy of `start`, and see which changes it made."""
        shutil.copytree(self.start, folder)
        trace = folder.with_name(f"{folder.name} trace")
        strace = ["strace", "-f", "-y", "-o", str(trace), *options]
        result = run([*strace, *self.command()], folder, PYTHONDONTWRITEBYTECODE="1")
        lines = trace.read_text("utf-8", "replace").splitlines()
        trace.unlink()
        return Outcome(result.returncode, result.stdout, result.stderr), [*_points(lines, folder)]

    def meet(self, folder: Path, fault: Fault, point: Point) -> str:
        """Run it with the fault at that point and hold it to its promises; how it ended."""
        kills = "KILL" in fault.inject
        stays = "+" if fault.stays and point.call != TERMINAL else ""
        inject = f"inject={point.call}:{fault.inject}:when={point.number}{stays}"
        options = ["-e", f"trace={point.call}", "-e", inject, *([] if kills else [FAST])]
        outcome, calls = self.traced(folder, *options)
        assert [one for one in calls if one.number == point.number] == [point]
        if kills:
            assert outcome.killed
        else:
            told(outcome)
            if point.call != "unlink":  # what could not be removed is there
                left = [*(folder / "reports").rglob(".*"), *folder.glob(".*")]
                assert not left
        _check_reports(self, folder, outcome)
        if outcome.code == 2:
            assert self.look(folder) == self.before, "exit code 2, and something was touched"
        state = self.check(folder, outcome)
        self.again(folder)
        _check_reports(self, folder, None)
        return f"{'killed' if outcome.killed else f'exit code {outcome.code}'}, {state}"


def told(outcome: Outcome) -> None:
    """An error is told in words, with one of the exit codes."""
    assert outcome.code in (0, 1, 2, 3), outcome.error
    assert "Traceback" not in outcome.output + outcome.error
    assert not outcome.code or outcome.error.strip() or outcome.code == 1


def _check_reports(scenario: Scenario, folder: Path, outcome: Outcome | None) -> None:
    """Each report is whole and true of what is there, and each kept database is sound."""
    for path in (folder / "reports").rglob("*.json"):
        valid(json.loads(path.read_text("utf-8")))
    for kept in (folder / "reports").glob("*/database.db"):
        assert content(kept)
    if outcome and not outcome.killed:
        found = said(folder)
        if outcome.code == 0:
            assert len(found) == 1
        if any(one["execution_status"]["status"] == "SUCCESS" for one in found):
            assert scenario.look(folder) == scenario.after


def said(folder: Path) -> list[Report]:
    """The reports there, each held against the JSON Schema."""
    return reports(folder / "reports")


def _summary(report: Report) -> str:
    return str(report["human_readable_summary"])


def _points(lines: Sequence[str], folder: Path) -> Iterator[Point]:
    """The changes that a trace has, terminal and pipes left out (but counted)."""
    numbers: Counter[str] = Counter()
    for line in lines:
        found = re.match(r'\d+ +(\w+)\((?:\d+<([^>]*)>|"([^"]*)")', line)
        if found:
            call, path = found[1], found[2] or found[3]
            numbers[call] += 1
            path = path.replace(f"{folder}/", "").replace(str(folder), "the folder")
            path = re.sub(r"\d{8}T\d{6}\.\d{6}Z", "STEM", path)
            path = re.sub(r"restore-\d+\.tmp", "restore-PID.tmp", path)
            if "etilqs_" in path:
                path = "a temporary file of SQLite"
            if not re.match(r"pipe:|/dev/", path):
                yield Point(call, numbers[call], path)


def _paths(folder: Path) -> tuple[str, str]:
    return str(folder / "abathur.db"), str(folder / "reports")


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Fresh(Scenario):
    """`init` where nothing is."""

    def check(self, folder: Path, outcome: Outcome) -> str:
        found = self.look(folder)
        if found is None:
            return "no file"
        return "finished" if found == self.after else "not finished"


class Upgrade(Scenario):
    """`init` on a database of generation 1 with things of its own: tasks is rebuilt."""

    columns: Columns

    def prepare(self) -> None:
        database = self.start / "abathur.db"
        older.make(database, 1, tasks=30, audit=30, extended=True)
        with closing(sqlite3.connect(database)) as connection:
            self.columns = columns_of(connection)

    def look(self, folder: Path) -> Content | None:
        return content(folder / "abathur.db", self.columns)

    def check(self, folder: Path, outcome: Outcome) -> str:
        found, before = self.look(folder), self.before
        assert found
        assert before
        assert found.rows == before.rows, "a row is lost"
        kept = [content(path, self.columns) for path in (folder / "reports").glob("*/database.db")]
        assert all(one and one.rows == before.rows for one in kept)
        core = {step["status"] for one in said(folder) for step in one["steps"][1:2]}
        if found.schema == before.schema:
            assert not core & {"changed"}, "the report says that core is done"
            return "as it was"
        assert not core & {"failed", "skipped"}, "the report says that core is not done"
        assert before in kept, "tasks is rebuilt, and there is no copy of what was before"
        return "finished" if found == self.after else "rebuilt"


class Failing(Scenario):
    """`init` on a database that it cannot bring to the declared form: the state is preserved."""

    ends_with = 3

    def prepare(self) -> None:
        with closing(sqlite3.connect(self.start / "abathur.db")) as connection:
            connection.executescript(
                "CREATE VIEW audit AS SELECT 1; CREATE TABLE mine (x); INSERT INTO mine VALUES (1)"
            )

    def check(self, folder: Path, outcome: Outcome) -> str:
        assert outcome.killed or outcome.code in (2, 3)
        assert self.look(folder) == self.before
        kept = [content(path) for path in (folder / "reports").glob("*/database.db")]
        assert all(one == self.before for one in kept)
        if not kept and outcome.code == 3:
            assert "not preserved: database.db" in outcome.error
        return "the state kept" if kept else "the state not kept"

    def again(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / "abathur.db")) as connection:
            connection.execute("DROP VIEW audit")
        assert run_task("init", *_paths(folder), as_json=False) == 0
        assert run_plan(*_paths(folder), as_json=False) == 0


class Verify(Scenario):
    """`verify` on a finished database: all that it writes is its report."""

    code = "run_task('verify', 'abathur.db', 'reports', as_json=False)"

    def prepare(self) -> None:
        assert run_task("init", *_paths(self.start), as_json=False) == 0
        shutil.rmtree(self.start / "reports")

    def check(self, folder: Path, outcome: Outcome) -> str:
        database = folder / "abathur.db"
        assert database.read_bytes() == (self.start / "abathur.db").read_bytes()
        return "a report" if [*(folder / "reports").glob("*.json")] else "no report"

    def again(self, folder: Path) -> None:
        assert run_task("verify", *_paths(folder), as_json=False) == 0


class Restore(Scenario):
    """`restore` of what was before an upgrade, over a database whose last row is in its `-wal`."""

    code = "run_restore('state', 'abathur.db', 'reports', as_json=False)"

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
                shutil.copy(f"{database}{suffix}", self.start / f"abathur.db{suffix}")
        shutil.rmtree(made)
        database.unlink()

    def check(self, folder: Path, outcome: Outcome) -> str:
        assert _files(folder / "state") == _files(self.start / "state")
        assert "is damaged" not in outcome.error
        found = self.look(folder)
        kept = [content(path) for path in (folder / "reports").glob("*-replaced/database.db")]
        if found == self.before:
            assert outcome.code != 0
            return "as it was"
        assert found == self.after, "neither the old one nor the restored one"
        assert not [one for one in said(folder) if "stands as it was" in _summary(one)]
        assert kept == [self.before], "what was replaced is not kept"
        return "restored"

    def again(self, folder: Path) -> None:
        assert run_restore(str(folder / "state"), *_paths(folder), as_json=False) == 0
        assert self.look(folder) == self.after
        assert _files(folder / "state") == _files(self.start / "state")
        assert not [*folder.glob(".*")]


SCENARIOS: Mapping[str, Callable[[Path], Scenario]] = {
    "upgrade": Upgrade,
    "restore": Restore,
    "fresh": Fresh,
    "failing": Failing,
    "verify": Verify,
}

PARTS_OF_ALL = [
    pytest.param(name, fault, part, id=f"{name}, {fault}, part {part + 1} of {PARTS}")
    for name in SCENARIOS
    for fault in FAULTS
    for part in range(PARTS)
]
SAMPLES = [
    pytest.param(name, fault, id=f"{name}, {fault}") for name in SCENARIOS for fault in FAULTS
]

Ready = Callable[[str], Scenario]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    """A scenario of that name, set up once."""
    trial = ["strace", "-o", os.devnull, "true"]
    if not shutil.which("strace") or subprocess.run(trial, check=False).returncode:
        pytest.skip("strace is not here, or may not trace")
    scenarios: dict[str, Scenario] = {}

    def get(name: str) -> Scenario:
        if name not in scenarios:
            scenario = SCENARIOS[name](tmp_path_factory.mktemp("scenario") / "start")
            scenario.set_up()
            scenarios[name] = scenario
        return scenarios[name]

    return get


def meet_all(scenario: Scenario, fault: str, points: Sequence[Point], folder: Path) -> Counter[str]:
    """Make the fault at each of the points; how often it ended how."""
    outcomes: Counter[str] = Counter()
    wrong = []
    for point in points:
        place = folder / f"{point.call} {point.number}"
        try:
            outcomes[scenario.meet(place, FAULTS[fault], point)] += 1
        except (AssertionError, OSError, sqlite3.Error, ValueError) as error:
            wrong.append(f"{point}: {type(error).__name__}: {error}\n  left in {place}")
        else:
            shutil.rmtree(place)
    assert not wrong, "\n".join(wrong)
    return outcomes


def points_of(scenario: Scenario, fault: str) -> list[Point]:
    """Where that fault can come; there is always a place."""
    found = [point for point in scenario.points if point.call in FAULTS[fault].calls]
    assert found
    return found


@pytest.mark.parametrize(("name", "fault"), SAMPLES)
def test_fault_at_some_points(name: str, fault: str, ready: Ready, tmp_path: Path) -> None:
    scenario = ready(name)
    points = points_of(scenario, fault)
    some = [points[len(points) * (2 * at + 1) // (2 * SAMPLE)] for at in range(SAMPLE)]
    meet_all(scenario, fault, some, tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize(("name", "fault", "part"), PARTS_OF_ALL)
def test_fault_at_every_point(
    name: str,
    fault: str,
    part: int,
    ready: Ready,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    scenario = ready(name)
    points = points_of(scenario, fault)[part::PARTS]
    outcomes = meet_all(scenario, fault, points, tmp_path)
    record_property("faults", (f"{name}, {fault}", dict(outcomes)))
