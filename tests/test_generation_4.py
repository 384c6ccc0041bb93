"""Databases of generation 4, which most users have: their application works on as before."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundle import OBJECTS, Bundle
from tests.support.commands import Invoke, command_line, environment
from tests.support.fingerprints import columns, old_digests
from tests.support.generation_4 import Row, running
from tests.support.generation_4_tables import CREATES, REMADE, rows
from tests.support.upgrading import planned

PROGRAM = "tests.support.generation_4"

VECTORS = (
    "CREATE TABLE document_embeddings_info (key TEXT PRIMARY KEY, value ANY)",
    "CREATE TABLE document_embeddings_chunks (chunk_id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " size INTEGER NOT NULL, validity BLOB NOT NULL, rowids BLOB NOT NULL)",
    "CREATE TABLE document_embeddings_rowids (rowid INTEGER PRIMARY KEY AUTOINCREMENT, id,"
    " chunk_id INTEGER, chunk_offset INTEGER)",
    "CREATE TABLE document_embeddings_vector_chunks00 (rowid PRIMARY KEY, vectors BLOB NOT NULL)",
    "INSERT INTO document_embeddings_chunks VALUES (1, 8, x'01', x'0100')",
    "INSERT INTO document_embeddings_rowids VALUES (1, NULL, 1, 0)",
    "INSERT INTO document_embeddings_vector_chunks00 VALUES (1, x'0000803f')",
    "PRAGMA writable_schema = ON",
    "INSERT INTO sqlite_schema VALUES ('table', 'document_embeddings', 'document_embeddings', 0,"
    " 'CREATE VIRTUAL TABLE document_embeddings USING vec0(embedding float[384])')",
)
"""A virtual table of a module that is not loaded here, as it is stored in the file."""

ODD = (
    "UPDATE tasks SET error_message = CAST(x'c328ff' AS TEXT), input_data = x'00ff'",
    "UPDATE tasks SET priority = 'high', submitted_at = -0.0, retry_count = 9e999",
    "UPDATE tasks SET summary = '', last_updated_at = 9223372036854775807, deadline = '1e3x'",
    "UPDATE audit SET result = 'a' || char(0) || 'b' WHERE id % 2",
    "UPDATE agents SET resource_usage = '{not json', terminated_at = 'never'",
    "UPDATE memory_entries SET is_deleted = 'yes' WHERE version = 1",
    "UPDATE document_index SET chunk_count = 'many', embedding_blob = 'text'",
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
    " VALUES (NULL, '', '', '', '', '')",
    "INSERT INTO checkpoints SELECT id, 'first', '', '', NULL FROM tasks WHERE id IS NOT NULL",
    "INSERT INTO state (task_id, key, value, created_at, updated_at)"
    " SELECT id, x'00', 'not json', '', '' FROM tasks WHERE id IS NOT NULL",
    "INSERT INTO audit (timestamp, task_id, action_type) VALUES ('', 'gone', ''), ('', x'ff', '')",
)

REFUSED = {
    "agents": "INSERT INTO agents VALUES ('a', 'n', 's', 'gone', 'idle', 'm', '', NULL, '', NULL)",
    "checkpoint": "INSERT INTO checkpoints VALUES ('gone', 1, '{}', '', NULL)",
    "trail": "INSERT INTO audit (timestamp, action_type, agent_id) VALUES ('', '', 'gone')",
    "parent": "UPDATE tasks SET parent_task_id = 'gone' WHERE id = (SELECT max(id) FROM tasks)",
    "kind": "INSERT INTO memory_entries (namespace, key, value, memory_type) VALUES ('', '', 1, 0)",
    "version": "INSERT INTO memory_entries (namespace, key, value, memory_type, version)"
    " SELECT namespace, key, value, memory_type, version FROM memory_entries",
    "path": "INSERT INTO document_index (file_path, title, content_hash)"
    " SELECT file_path, '', '' FROM document_index",
    "events": "UPDATE sessions SET events = 'none'",
    "dependency": "UPDATE task_dependencies SET prerequisite_task_id = dependent_task_id",
    "metric": "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('', '', -1)",
}
"""What the application relies on SQLite to refuse."""


@pytest.fixture
def fourth(empty: Bundle) -> Bundle:
    """A database of generation 4 that has been in use, with odd values in it."""
    with running(empty.path) as application:
        assert application.start() == []
        for sql in VECTORS:
            application.connection.execute(sql)
        (version,) = application.connection.execute("PRAGMA schema_version").fetchone()
        application.connection.execute(f"PRAGMA schema_version = {version + 1}")
        application.connection.execute("PRAGMA writable_schema = RESET")
        for _ in range(5):
            application.work()
        other = application.add_task(after=application.add_task())
        application.add("agents", id="agent", task_id=other)
        application.add("audit", task_id=other, agent_id="agent")
        for sql in ODD:
            application.connection.execute(sql)
    gone = "task_id NOT IN (SELECT id FROM tasks WHERE id IS NOT NULL)"
    assert empty.rows(f"SELECT count(*) > 9 FROM audit WHERE {gone}") == [(1,)]
    assert empty.rows("SELECT count(*) > 9 FROM audit WHERE task_id IS NULL") == [(1,)]
    return empty


def stored(path: Path) -> dict[tuple[str, int], Any]:
    """All rows of the application's tables, by table and rowid."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        return {
            (table, at): row for table in CREATES for at, row in rows(connection, table).items()
        }


def after(before: dict[tuple[str, int], Any], log: Path) -> dict[tuple[str, int], Any]:
    """The rows that must be there after all acknowledged transactions."""
    there = dict(before)
    for line in log.read_text().splitlines():
        done: list[Row] = json.loads(line)
        for table, at, row in done:
            there[table, at] = row
    return {key: row for key, row in there.items() if row is not None}


def lines(log: Path) -> int:
    """The number of acknowledged transactions."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


def beside(bundle: Bundle, log: Path, *rounds: str) -> subprocess.Popen[str]:
    """The application in a process of its own."""
    command = [sys.executable, "-m", PROGRAM, str(bundle.path), str(log), *rounds]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stderr=pipe, env=environment(), text=True)


def wait_for(application: subprocess.Popen[str], log: Path, number: int) -> None:
    """Wait until so many transactions have been acknowledged."""
    deadline = time.monotonic() + 30
    while lines(log) < number:
        assert application.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refusals(bundle: Bundle) -> dict[str, str]:
    """What SQLite says to each statement of `REFUSED`."""
    said = {}
    with running(bundle.path) as application:
        for name, sql in REFUSED.items():
            with pytest.raises(sqlite3.IntegrityError) as error:
                application.connection.execute(sql)
            said[name] = str(error.value)
    return said


def test_it_comes_up_to_date_and_nothing_is_lost(fourth: Bundle, invoke: Invoke) -> None:
    there = columns(fourth.path)
    values, counters = old_digests(fourth.path, there), "SELECT * FROM sqlite_sequence ORDER BY 1"
    sequence = fourth.rows(counters)
    objects = {row for row in fourth.rows(OBJECTS) if row[1] not in REMADE}
    assert fourth.run("init") == 0
    made = fourth.report()["deliverables"]
    assert made["tables_rebuilt"] == made["tables_changed"] == made["columns_added"] == []
    assert made["tables_created"] == []
    assert made["indexes_dropped"] == REMADE
    assert sorted(made["indexes_created"]) == sorted(REMADE)
    assert fourth.report()["copy_before"] is None
    assert columns(fourth.path) == there
    assert old_digests(fourth.path, there) == values
    assert fourth.rows(counters) == sequence
    now = set(fourth.rows(OBJECTS))
    assert now - objects == {row for row in now if row[1] in REMADE}
    assert objects <= now
    assert planned(fourth.path, invoke) == []
    assert fourth.run("verify") == 0


def test_sqlite3_makes_of_the_plan_what_init_makes(
    fourth: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(fourth.path, copy)
    result = command_line(copy, invoke("plan").stdout)
    assert (result.returncode, result.stderr) == (0, "")
    assert fourth.run("init") == 0
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute(OBJECTS).fetchall() == fourth.rows(OBJECTS)
    assert stored(copy) == stored(fourth.path)


def test_its_next_start_and_our_next_init_change_nothing(fourth: Bundle) -> None:
    assert fourth.run("init") == 0
    for _ in range(3):
        before = fourth.rows(OBJECTS)
        with running(fourth.path) as application:
            assert application.start() == []
            application.work()
        assert fourth.rows(OBJECTS) == before
        assert fourth.unchanged_by_init()
        assert fourth.run("verify") == 0


def test_what_was_refused_is_refused_and_nothing_else(fourth: Bundle) -> None:
    before = refusals(fourth)
    assert fourth.run("init") == 0
    assert refusals(fourth) == before


def test_it_goes_on_without_a_new_start(fourth: Bundle) -> None:
    """Its connection was open before `init` ran."""
    with running(fourth.path) as application:
        application.start()
        application.work()
        assert fourth.run("init") == 0
        application.work()
        assert fourth.unchanged_by_init()
        application.work()


def test_it_works_while_init_runs(fourth: Bundle, tmp_path: Path) -> None:
    log, before = tmp_path / "log", stored(fourth.path)
    with beside(fourth, log) as application:
        wait_for(application, log, 1)
        for task in ("init", "verify", "init", "verify"):
            assert fourth.run(task) == 0
        wait_for(application, log, lines(log) + 100)
        _, errors = application.communicate("", timeout=60)
    assert (application.returncode, errors) == (0, "")
    assert stored(fourth.path) == after(before, log)
    assert fourth.unchanged_by_init()


def test_what_is_in_the_wal_only_is_kept_when_it_was_killed(fourth: Bundle, tmp_path: Path) -> None:
    log, before = tmp_path / "log", stored(fourth.path)
    with beside(fourth, log, "3") as application:  # its standard input stays open
        assert application.wait(timeout=60) == -9
    alone = tmp_path / "alone.db"
    shutil.copy(fourth.path, alone)
    expected = after(before, log)
    assert stored(alone) != expected  # the rest is in the -wal
    assert fourth.run("init") == 0
    assert stored(fourth.path) == expected


def test_what_is_in_the_wal_only_is_kept_in_copied_files(fourth: Bundle, tmp_path: Path) -> None:
    left = Bundle(tmp_path / "left")
    left.path.parent.mkdir()
    with running(fourth.path) as application:
        application.work()
        for suffix in ("", "-wal"):
            shutil.copy(f"{fourth.path}{suffix}", f"{left.path}{suffix}")
        expected = stored(fourth.path)
    assert left.run("init") == 0
    assert stored(left.path) == expected
