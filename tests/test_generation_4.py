"""Databases of generation 4, which most users have: their application goes on as it did."""

import json
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import generation_4
import older
import pytest
from conftest import Bundle, Invoke, command_line, environment
from everything import everything
from kept import differences
from test_upgrade import columns, old_digests, plan

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"


@pytest.fixture
def fourth(empty: Bundle) -> Bundle:
    """A database of generation 4 that has been worked with, and odd values in it."""
    with closing(generation_4.connect(empty.path)) as connection:
        assert generation_4.start(connection) == []
        generation_4.make_vectors(connection)
        for number in range(5):
            generation_4.work(connection, number)
        connection.execute("UPDATE tasks SET error_message = CAST(x'c328ff' AS TEXT)")
        connection.execute("UPDATE audit SET result = 'a' || char(0) || 'b' WHERE id % 2")
        connection.commit()
    return empty


def unchanged(bundle: Bundle) -> bool:
    """Whether an `init` finds nothing to do, and says so for each step."""
    assert bundle.run("init") == 0
    return {step["status"] for step in bundle.report()["steps"]} == {"unchanged"}


def test_it_comes_up_to_date_and_nothing_is_lost(fourth: Bundle, invoke: Invoke) -> None:
    there = columns(fourth.path)
    rows = old_digests(fourth.path, there)
    objects = set(fourth.rows("SELECT type, name FROM sqlite_schema"))
    assert fourth.run("init") == 0
    made = fourth.report()["deliverables"]
    assert made["tables_rebuilt"] == made["tables_changed"] == made["columns_added"] == []
    assert made["indexes_dropped"] == ["idx_memory_episodic_ttl", "idx_document_sync_status"]
    assert set(made["indexes_dropped"]) <= set(made["indexes_created"])
    assert old_digests(fourth.path, there) == rows
    assert objects <= set(fourth.rows("SELECT type, name FROM sqlite_schema"))
    assert plan(fourth, invoke) == []
    assert fourth.run("verify") == 0


def test_its_next_start_and_our_next_init_change_nothing(fourth: Bundle) -> None:
    assert fourth.run("init") == 0
    for _ in range(2):
        before = fourth.rows(SCHEMA)
        with closing(generation_4.connect(fourth.path)) as connection:
            assert generation_4.start(connection) == []
            generation_4.work(connection, 9)
        assert fourth.rows(SCHEMA) == before
        assert unchanged(fourth)


def test_it_works_while_init_runs(fourth: Bundle, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, generation_4.__file__, str(fourth.path), str(log)]
    application = subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    )
    while not log.exists() or not log.stat().st_size:
        assert application.poll() is None
        time.sleep(0.01)
    for task in ("init", "verify", "init", "verify"):
        assert fourth.run(task) == 0
    lines = len(log.read_text().splitlines())
    while len(log.read_text().splitlines()) < lines + 5:
        assert application.poll() is None
        time.sleep(0.01)
    _, errors = application.communicate("")
    assert errors == ""
    for line in log.read_text().splitlines():
        for table, key in json.loads(line).items():
            name = {"tasks": "id", "memory_entries": "key"}[table]
            assert fourth.rows(f"SELECT 1 FROM {table} WHERE {name} = '{key}'")
    assert fourth.run("verify") == 0


def test_what_is_in_the_wal_only_is_kept(fourth: Bundle, tmp_path: Path) -> None:
    """The application was killed: its last rows are in the -wal."""
    left = Bundle(tmp_path / "left")
    left.path.parent.mkdir()
    with closing(generation_4.connect(fourth.path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        there = generation_4.work(connection, 1)
        for suffix in ("", "-wal"):
            shutil.copy(f"{fourth.path}{suffix}", f"{left.path}{suffix}")
    assert left.run("init") == 0
    assert left.rows(f"SELECT 1 FROM tasks WHERE id = '{there['tasks']}'") == [(1,)]


def older_form(sql: str) -> str:
    """As an older contract had it, and our own older versions made it."""
    column, agent = "    task_id TEXT,\n    action_type", "REFERENCES agents(id),\n"
    cascade = "REFERENCES tasks(id) ON DELETE CASCADE,\n    FOREIGN KEY (session_id)"
    for old, new in (
        (column, column.replace("TEXT", "TEXT NOT NULL", 1)),
        (agent, f"{agent}    FOREIGN KEY (task_id) REFERENCES tasks(id),\n"),
        (cascade, cascade.replace(" ON DELETE CASCADE", "")),
    ):
        assert old in sql
        sql = sql.replace(old, new)
    return sql


def test_what_an_older_contract_made_is_brought_to_this_one(
    empty: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    schema = older_form(generation_4.SCHEMA)
    with closing(generation_4.connect(empty.path)) as connection:
        connection.executescript(schema)
        assert len(list(generation_4.to_migrate(connection))) == 4
        generation_4.add_task(connection)
    there = columns(empty.path)
    rows = old_digests(empty.path, there)
    copy = tmp_path / "copy.db"
    shutil.copy(empty.path, copy)
    assert command_line(copy, invoke("plan").stdout).returncode == 0
    assert empty.run("init") == 0
    made = empty.report()["deliverables"]
    assert made["tables_rebuilt"] == []
    assert made["tables_changed"] == ["agents", "audit", "checkpoints"]
    assert old_digests(empty.path, there) == rows
    assert differences(everything(copy), everything(empty.path)) == []
    with closing(generation_4.connect(empty.path)) as connection:
        assert generation_4.start(connection) == []
        generation_4.work(connection, 1)
    assert unchanged(empty)


def test_it_starts_on_what_we_made_and_on_what_older_ones_left(empty: Bundle) -> None:
    older.make(empty.path, 3)
    assert empty.run("init") == 0
    empty.sql("ALTER TABLE tasks ADD COLUMN source TEXT NOT NULL DEFAULT 'human'")
    for column in (
        "dependency_type TEXT NOT NULL DEFAULT 'sequential'",
        "calculated_priority REAL NOT NULL DEFAULT 5.0",
        "deadline TIMESTAMP",
        "feature_branch TEXT",
        "summary TEXT NOT NULL DEFAULT 'Task'",
    ):
        empty.sql(f"ALTER TABLE tasks ADD COLUMN {column}")  # its own migration
    with closing(generation_4.connect(empty.path)) as connection:
        assert generation_4.start(connection) == []
        generation_4.work(connection, 1)
    assert unchanged(empty)
