"""What an agent is told after a failure can be run as it stands, and solves it or names who can."""

import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.campaigns import hostile_files
from tests.support import older
from tests.support.bundle import Bundle, reports
from tests.support.commands import (
    Invoke,
    as_nobody,
    environment,
    in_shell,
    invoke_command,
    run,
)
from tests.support.machine import disk_of, need, needs_root

DRIFT = "DROP INDEX idx_agents_state"
TAKEN = "CREATE VIEW audit AS SELECT 1"
NOT_A_COMMAND = 127


def run_sql(sql: str) -> Callable[[Bundle], None]:
    return lambda bundle: bundle.sql(sql)


def finished(then: Callable[[Bundle], None]) -> Callable[[Bundle], None]:
    """A finished database, and then a fault."""

    def prepare(bundle: Bundle) -> None:
        assert bundle.run("init") == 0
        then(bundle)

    return prepare


def no_database(bundle: Bundle) -> None:
    bundle.path.write_text("dear diary, " * 1000)


def damage(bundle: Bundle) -> None:
    """An index lacks an entry."""
    with closing(sqlite3.connect(bundle.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        of_index = "FROM sqlite_schema WHERE name = 'idx_metrics_name_timestamp'"
        row = connection.execute(f"SELECT * {of_index}").fetchone()
        assert row
        connection.execute(f"DELETE {of_index}")
        connection.execute("PRAGMA schema_version = 1000")
    bundle.sql(NEGATIVE.replace("-1", "1"))
    with closing(sqlite3.connect(bundle.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("PRAGMA schema_version = 1001")


def own_function(bundle: Bundle) -> None:
    older.make(bundle.path, 2)
    with closing(sqlite3.connect(bundle.path)) as connection:
        connection.create_function("shout", 1, str, deterministic=True)
        connection.execute("CREATE INDEX loud ON tasks(shout(priority))")
        connection.commit()


def header(offset: int, value: bytes) -> Callable[[Bundle], None]:
    def prepare(bundle: Bundle) -> None:
        with bundle.path.open("r+b") as file:
            file.seek(offset)
            file.write(value)

    return prepare


def negative_metric(bundle: Bundle) -> None:
    bundle.sql(
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TIMESTAMP NOT NULL,"
        f" metric_name TEXT NOT NULL, metric_value REAL NOT NULL, labels TEXT); {NEGATIVE}"
    )


def nothing(bundle: Bundle) -> None:
    del bundle


class Failure(NamedTuple):
    """How a database gets into trouble, the task that meets it with its exit code, and what the
    person does who is asked; `solves` is the task that succeeds in the end.
    """

    prepare: Callable[[Bundle], None]
    task: str = "init"
    code: int = 3
    person: Callable[[Bundle], None] | None = None
    solves: str = "init"


NEGATIVE = "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('', 'm', -1)"
METRIC = "DELETE FROM metrics WHERE metric_value < 0"
ORPHAN = (
    "INSERT INTO checkpoints (task_id, iteration, state, created_at) VALUES ('gone', 1, '{}', '')"
)
FAILURES = {
    "an index is missing": Failure(finished(run_sql(DRIFT)), "verify", 1),
    "a table is missing": Failure(finished(run_sql("DROP TABLE metrics")), "verify", 1),
    "an older database": Failure(lambda bundle: older.make(bundle.path, 2), "verify", 1),
    "only the first milestone": Failure(nothing, "pragma", 0),
    "a name is taken by a view": Failure(run_sql(TAKEN), person=run_sql("DROP VIEW audit")),
    "a name is taken by an index": Failure(
        run_sql("CREATE TABLE t (x); CREATE INDEX audit ON t (x)"),
        person=run_sql("DROP INDEX audit"),
    ),
    "rows break a constraint": Failure(negative_metric, person=run_sql(METRIC)),
    "a row without its parent": Failure(
        *(finished(run_sql(ORPHAN)), "verify", 1, run_sql("DELETE FROM checkpoints")),
    ),
    "not a database": Failure(no_database),
    "an index lacks a row": Failure(finished(damage), "verify", 1, solves="verify"),
    "a function of the application": Failure(own_function, person=run_sql("DROP INDEX loud")),
    "a planted journal": Failure(lambda bundle: hostile_files.planted_journal(bundle.path)),
    "a name of SQLite's": Failure(
        run_sql("CREATE TABLE pragma_table_list (name)"),
        person=run_sql("DROP TABLE pragma_table_list"),
    ),
    "a file of a newer SQLite": Failure(
        finished(header(18, b"\x09\x09")), "verify", 1, header(18, b"\x02\x02"), "verify"
    ),
    "an index on other columns": Failure(
        finished(run_sql(f"{DRIFT}; CREATE INDEX idx_agents_state ON agents(name)")), "verify", 1
    ),
    "the wrong journal mode": Failure(
        finished(run_sql("PRAGMA journal_mode = DELETE")), "verify", 1
    ),
    "a check of one's rows": Failure(
        finished(run_sql(f"PRAGMA ignore_check_constraints = ON; {NEGATIVE}")),
        *("verify", 1, run_sql(METRIC)),
    ),
}


@pytest.fixture
def again(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a command as an agent does: in a shell, where `invoke` is on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "invoke").write_text(f'#!/bin/sh\nexec {shlex.join(invoke_command())} "$@"\n')
    (programs / "invoke").chmod(0o755)

    def in_its_shell(command: str) -> subprocess.CompletedProcess[str]:
        if not command.startswith("invoke "):  # the command line needs the system's SQLite
            command = f"env -u LD_LIBRARY_PATH {command}"
        return in_shell(f'PATH="{programs}:$PATH"; {command} </dev/null', tmp_path)

    return in_its_shell


def commands(action: str) -> list[str]:
    return re.findall(r"`([^`]+)`", action)


@pytest.mark.parametrize("kind", FAILURES)
def test_action_named_can_be_run_and_solves_it_or_asks(
    kind: str,
    empty: Bundle,
    invoke: Invoke,
    again: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    failure = FAILURES[kind]
    failure.prepare(empty)
    assert invoke(failure.task, "--json").returncode == failure.code
    report = empty.report()
    action = report["orchestration_context"]["next_recommended_action"]
    named = commands(action)
    assert named, action
    if failure.person:
        failure.person(empty)
    for command in named:
        if shutil.which(shlex.split(command)[0]) or command.startswith("invoke "):
            result = again(command)
            assert result.returncode not in (2, NOT_A_COMMAND), (command, result.stderr)
    assert invoke(failure.solves).returncode == 0
    assert invoke("verify").returncode == 0
    if failure.code == 3:
        folder = Path(report["failure"]["preserved_state"])
        text = (folder / "escalation.md").read_text("utf-8")
        assert action in text
        for command in re.findall(r"^- `(.*)` exits 0.$", text, re.MULTILINE):
            assert again(command).returncode == 0


def test_process_that_holds_the_lock_is_named(
    bundle: Bundle, invoke: Invoke, again: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    need("fuser")
    bundle.sql(DRIFT)
    hold = f"import sqlite3, time; c = sqlite3.connect({str(bundle.path)!r});"
    hold += "c.execute('BEGIN IMMEDIATE'); print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"1\n"
        assert invoke("init").returncode == 3
        action = bundle.report()["orchestration_context"]["next_recommended_action"]
        look, repeat = commands(action)
        told = again(look)
        assert str(holder.pid) in told.stdout + told.stderr
        holder.kill()
    assert again(repeat).returncode == 0


def test_stopped_run_is_repeated(
    empty: Bundle, tmp_path: Path, again: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    assert empty.run("pragma") == 0
    with closing(sqlite3.connect(empty.path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        process = subprocess.Popen(
            invoke_command("init"), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE
        )
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 143
    action = empty.report()["orchestration_context"]["next_recommended_action"]
    (repeat,) = commands(action)
    assert again(repeat).returncode == 0


@needs_root
def test_full_disk_is_measured_and_the_run_repeated(
    tmp_path: Path, again: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    with disk_of(200_000, tmp_path / "disk") as disk:
        made = Bundle(disk)
        arguments = ("--database", str(made.path), "--reports", str(tmp_path / "reports"))
        result = run(invoke_command("init", *arguments), tmp_path)
        assert result.returncode == 3, result.stdout
        (report,) = reports(tmp_path / "reports")
        action = report["orchestration_context"]["next_recommended_action"]
        look, repeat = commands(action)
        assert look == f"df -h {disk}"
        assert again(look).returncode == 0
        subprocess.run(["mount", "-o", "remount,size=10m", str(disk)], check=True)
        assert again(repeat).returncode == 0


@needs_root
def test_another_user_is_told_whom_to_ask(
    shared: Path, again: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    assert Bundle(shared).run("init") == 0
    Bundle(shared).sql(DRIFT)
    assert as_nobody("init", "-d", "abathur.db", "-r", "out", cwd=shared).returncode == 3
    (report,) = reports(shared / "out")
    action = report["orchestration_context"]["next_recommended_action"]
    assert "ask the owner" in action
    look, repeat = commands(action)
    assert "root" in again(look).stdout
    assert again(repeat).returncode == 0


USAGE = {
    "no database": ("verify",),
    "another application": ("init", "-d", "birds.db"),
    "an old format": ("init", "-d", "format-1.db"),
    "a step too early": ("core-indexes", "-d", "pragma.db"),
}


@pytest.mark.parametrize("kind", USAGE)
def test_wrong_input_says_what_to_type(kind: str, empty: Bundle, invoke: Invoke) -> None:
    folder = empty.path.parent
    with closing(sqlite3.connect(folder / "birds.db")) as birds:
        birds.execute("CREATE TABLE tasks (bird TEXT, seen TEXT)")
    with closing(sqlite3.connect(folder / "format-1.db")) as old:
        old.execute("PRAGMA legacy_file_format = ON")
        old.execute("CREATE TABLE notes (x)")
    content = bytearray((folder / "format-1.db").read_bytes())
    content[44:48] = (1).to_bytes(4, "big")
    (folder / "format-1.db").write_bytes(content)
    assert invoke("pragma", "-d", "pragma.db").returncode == 0
    result = invoke(*USAGE[kind])
    assert (result.returncode, result.stdout) == (2, "")
    assert any(word in result.stderr for word in ("Run `", "Name another", "with:\n    sqlite3"))
