"""`status` tells in a glance what a database in operation is like; it only reads."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from abathur_schema.storage.write_ahead_log import write_ahead_log
from tests.campaigns import hostile_files
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, as_nobody, environment, invoke_command
from tests.support.fingerprints import files_below
from tests.support.machine import needs_root

METRIC = "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('2026-11-29', 'm', 1)"
HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("SELECT count(*) FROM tasks").fetchone()
print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def holding(database: Path, how: str) -> Iterator[int]:
    """A process with a transaction on the database; yields its id."""
    command = [sys.executable, "-c", HOLD, str(database), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.kill()


def status(invoke: Invoke, *arguments: str) -> dict[str, Any]:
    result = invoke("status", "--json", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_status_of_a_verified_database(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(METRIC)
    before = bundle.path.read_bytes(), files_below(bundle.reports)
    found = status(invoke)
    assert (bundle.path.read_bytes(), files_below(bundle.reports)) == before
    assert found["bytes"] == bundle.path.stat().st_size
    assert (found["completion"], found["schema_complete"]) == ("Milestone 2", True)
    assert found["settings"]["journal_mode"] == "wal"
    assert found["last_verification"]["failed"] == 0
    assert found["attention"] == []
    tables = {table["name"]: table for table in found["tables"]}
    assert [*tables][:3] == ["tasks", "agents", "state"]
    assert tables["metrics"]["rows"] == 1
    assert tables["metrics"]["newest"] == "2026-11-29"
    lines = invoke("status").stdout.splitlines()
    assert lines[3] == "schema    Milestone 2, complete"


ROWS = {
    "(a)": ("(rowid, a) VALUES (-5, 1), (4, 1)", 10),
    "(b)": ("SELECT 1 WHERE 0", 0),
    "(c INTEGER PRIMARY KEY)": ("VALUES (-9223372036854775808), (9223372036854775807)", 2**64),
    "(rowid TEXT)": ("VALUES ('z'), ('y')", 2),
    "(k PRIMARY KEY) WITHOUT ROWID": ("VALUES (1)", None),
    "(RowId, oid, _rowid_)": ("VALUES (1, 2, 3)", None),
}


def test_rows_are_the_span_of_the_rowids_or_not_known(bundle: Bundle, invoke: Invoke) -> None:
    for number, (form, (rows, _)) in enumerate(ROWS.items()):
        bundle.sql(f"CREATE TABLE t{number} {form}; INSERT INTO t{number} {rows}")
    wanted = [rows for _, rows in ROWS.values()]
    tables = {table["name"]: table["rows"] for table in status(invoke)["tables"]}
    assert [tables[f"t{number}"] for number in range(len(ROWS))] == wanted
    lines = [line.split() for line in invoke("status").stdout.splitlines() if line.startswith("t")]
    shown = {line[0]: line[1] for line in lines}
    known = ["?" if rows is None else f"{rows:,}" for rows in wanted]
    assert [shown[f"t{number}"] for number in range(len(ROWS))] == known
    metrics = invoke("status", "--prometheus").stdout
    for number, count in enumerate(wanted):
        assert (f'table="t{number}"}}' in metrics) == (count is not None)


def test_readers_of_an_old_state_are_named(bundle: Bundle, invoke: Invoke) -> None:
    with closing(sqlite3.connect(bundle.path)) as writer:
        writer.execute(METRIC)
        writer.commit()
        with holding(bundle.path, "BEGIN") as reader:
            for _ in range(50):
                writer.execute(METRIC)
                writer.commit()
            found = status(invoke)
            assert found["wal"]["waiting"] == found["wal"]["pages"] > 50
            (holder,) = found["wal"]["held_by"]
            assert holder.startswith(f"process {reader} (")
            assert any(one.startswith(f"process {reader} (") for one in found["open_in"])
            assert f"held by process {reader}" in invoke("status").stdout
            writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            waiting = status(invoke)["wal"]["waiting"]
            assert 0 < waiting < found["wal"]["waiting"] + 1
        writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        found = status(invoke)
        assert (found["wal"]["waiting"], found["wal"]["held_by"]) == (0, [])


def test_reader_of_the_file_alone_holds_all_that_waits(bundle: Bundle, invoke: Invoke) -> None:
    """It began when nothing was in the log."""
    with holding(bundle.path, "BEGIN") as reader:
        bundle.sql(METRIC)
        found = status(invoke)["wal"]
        assert found["waiting"] == found["pages"] > 0
        (holder,) = found["held_by"]
        assert holder.startswith(f"process {reader} (")


def test_writer_is_named(bundle: Bundle, invoke: Invoke) -> None:
    with holding(bundle.path, "BEGIN IMMEDIATE") as writer:
        assert status(invoke)["wal"]["writer"].startswith(f"process {writer} (")
    assert status(invoke)["wal"]["writer"] is None


def test_log_that_a_killed_process_left(bundle: Bundle) -> None:
    with holding(bundle.path, "BEGIN"):
        bundle.sql(METRIC)
    log = bundle.path.with_name("abathur.db-wal")
    bundle.path.with_name("abathur.db-shm").unlink()
    found = write_ahead_log(bundle.path)
    assert (found.bytes, found.waiting > 0) == (log.stat().st_size, True)


def test_what_needs_attention_has_its_command(empty: Bundle, invoke: Invoke) -> None:
    assert empty.run("core") == 2
    assert empty.run("pragma") == 0
    told = {one["says"]: one["command"] for one in status(invoke)["attention"]}
    assert told == {
        "the schema is not as declared": f"invoke plan --database {empty.path}",
        "it was never verified, as far as the reports here tell": (
            f"invoke verify --database {empty.path}"
        ),
    }
    assert empty.run("init") == 0
    empty.sql("DROP INDEX idx_agents_state")
    assert empty.run("verify") == 1
    says = [one["says"] for one in status(invoke)["attention"]]
    assert says == ["the schema is not as declared", "2 of 94 checks failed last time"]
    assert empty.run("init") == 0
    empty.sql(
        "CREATE TABLE large AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 20000) SELECT zeroblob(2000) AS x FROM n; DROP TABLE large"
    )
    (one,) = status(invoke)["attention"]
    assert one["command"].startswith("invoke vacuum ")
    assert f"    `{one['command']}`" in invoke("status").stdout


def test_metrics_are_read_by_prometheus(bundle: Bundle, invoke: Invoke) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    bundle.sql(METRIC + '; CREATE TABLE "a""b\\c\nd" (x)')
    result = invoke("status", "--prometheus")
    assert result.returncode == 0
    families = {one.name: one for one in parser.text_string_to_metric_families(result.stdout)}
    assert families["abathur_database_bytes"].samples[0].value == bundle.path.stat().st_size
    assert families["abathur_schema_complete"].samples[0].value == 1
    rows = {one.labels["table"]: one.value for one in families["abathur_table_rows"].samples}
    assert (rows["metrics"], rows['a"b\\c\nd']) == (1, 0)
    newest = families["abathur_table_newest_timestamp_seconds"].samples
    assert [one.value for one in newest if one.labels["table"] == "metrics"] == [1795910400]
    assert families["abathur_last_verification_failed_checks"].samples[0].value == 0


def test_watch_shows_it_again_until_it_is_stopped(bundle: Bundle) -> None:
    process = subprocess.Popen(
        invoke_command("status", "--json", "--watch", "0.2"),
        cwd=bundle.path.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    sizes = []
    for _ in range(3):
        sizes.append(json.loads(process.stdout.readline())["tables"][4]["rows"])
        bundle.sql(METRIC)
        time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert sizes[0] == 0 < sizes[2]


@pytest.mark.parametrize("kind", hostile_files.MADE)
def test_hostile_file_is_told_about_or_refused(kind: str, empty: Bundle, invoke: Invoke) -> None:
    hostile_files.MADE[kind](empty.path)
    result = invoke("status")
    assert result.returncode in (0, 2)
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stdout


@needs_root
def test_user_who_may_only_read(shared: Path) -> None:
    bundle = Bundle(shared)
    assert bundle.run("init") == 0
    before = files_below(shared)
    result = as_nobody("status", "-d", "abathur.db", "-r", "reports", cwd=shared)
    assert result.returncode == 0, result.stderr
    assert "Milestone 2, complete" in result.stdout
    assert files_below(shared) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--database", "gone.db"), "Run `invoke init --database "),
        (("--watch", "soon"), "is not a number of seconds"),
        (("--watch", "nan"), "is not a number of seconds"),
        (("--json", "--prometheus"), "contradict each other"),
    ],
)
def test_wrong_input(arguments: tuple[str, ...], says: str, bundle: Bundle, invoke: Invoke) -> None:
    result = invoke("status", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
