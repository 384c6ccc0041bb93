"""`verify` finds each violation, counts them all, and reads one state of the database."""

import shlex
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

from abathur_schema.declared.declaration import declared
from abathur_schema.schema.reading import read_schema
from abathur_schema.storage.connection import connect
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, in_shell
from tests.support.machine import need


def test_violation_is_found_where_a_memory_has_its_id_as_value(bundle: Bundle) -> None:
    bundle.sql(
        "INSERT INTO memory_entries (id, namespace, key, value, memory_type)"
        " VALUES (7, 'user:a', 'k', '7', 'semantic')"
    )
    bundle.sql(
        "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
        " VALUES ('t', '', '', '{}', '', '');"
        "INSERT INTO audit (timestamp, task_id, action_type, memory_entry_id)"
        " VALUES ('', 't', 'a', 7), ('', 't', 'a', 8)"
    )
    assert bundle.run("verify") == 1
    assert bundle.failed() == {
        "foreign_key_check": ["table audit, row 2, column memory_entry_id, parent memory_entries"]
    }


def test_foreign_key_without_an_index_is_found(bundle: Bundle) -> None:
    bundle.sql("DROP INDEX idx_agents_task")
    assert bundle.run("verify") == 1
    assert bundle.failed()["every foreign key has an index"] == [
        "foreign key (task_id) -> tasks(id) of table agents has no index"
    ]


def test_text_that_sorts_otherwise_is_found(empty: Bundle) -> None:
    """In UTF-16le, SQLite's BINARY order is not that of the characters."""
    empty.sql("PRAGMA encoding = 'UTF-16le'; CREATE TABLE mine (x)")
    assert empty.run("init") == 1
    assert "exactly the subtree: Everything below a namespace" in empty.failed()


def test_what_to_do_about_text_that_sorts_otherwise_works(
    empty: Bundle, invoke: Invoke, capsys: Any
) -> None:
    need("sqlite3")
    empty.sql(
        "PRAGMA encoding = 'UTF-16le'; PRAGMA user_version = 7; CREATE TABLE mine (x);"
        "INSERT INTO mine VALUES ('ž' || char(10))"
    )
    assert empty.run("init") == 1
    (remedy,) = (line for line in capsys.readouterr().out.splitlines() if "what to do" in line)
    load, again = remedy.split("`")[1:4:2]
    assert in_shell(f"unset LD_LIBRARY_PATH; {load}", empty.path.parent).returncode == 0
    assert invoke(*shlex.split(again)[1:]).returncode == 0
    with closing(sqlite3.connect(f"{empty.path}.utf8")) as connection:
        found = connection.execute("SELECT x, user_version FROM mine, pragma_user_version")
        assert found.fetchall() == [("ž\n", 7)]


def test_violations_in_a_table_without_rowid_are_counted(bundle: Bundle) -> None:
    bundle.sql(
        "CREATE TABLE mine (id TEXT PRIMARY KEY, task TEXT REFERENCES tasks(id)) WITHOUT ROWID;"
        "INSERT INTO mine VALUES ('a', 'x'), ('b', 'y')"
    )
    assert bundle.run("verify") == 1
    finding = "table mine, row None, column task, parent tasks"
    assert bundle.failed()["foreign_key_check"] == [finding, finding]


def test_every_violation_is_named(bundle: Bundle) -> None:
    bundle.sql(
        "INSERT INTO state (id, task_id, key, value, created_at, updated_at)"
        " VALUES (7, 'gone', 'k', '1', '2026', '2026');"
        "INSERT INTO audit (id, timestamp, task_id, agent_id, action_type, memory_entry_id)"
        " VALUES (9, '2026', 'gone', 'nobody', 'x', 42)"
    )
    assert bundle.run("verify") == 1
    assert bundle.failed() == {
        "foreign_key_check": [
            "table audit, row 9, column memory_entry_id, parent memory_entries",
            "table audit, row 9, column agent_id, parent agents",
            "table state, row 7, column task_id, parent tasks",
        ]
    }
    assert (
        "foreign_key_check: 3 violations" in (bundle.report()["deliverables"]["validation_results"])
    )


def test_many_violations_are_in_the_report_and_counted(bundle: Bundle, capsys: Any) -> None:
    bundle.sql(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12345)"
        " INSERT INTO audit (timestamp, agent_id, action_type) SELECT '2026', 'gone', 'x' FROM n"
    )
    capsys.readouterr()
    assert bundle.run("verify") == 1
    shown = capsys.readouterr().out
    assert shown.count("parent agents") == 20
    assert "and 12325 more; the report has the first 10000" in shown
    findings = bundle.failed()["foreign_key_check"]
    assert findings[9_999] == "table audit, row 10000, column agent_id, parent agents"
    assert findings[10_000:] == ["and 2345 more"]
    assert bundle.report()["deliverables"]["validation_results"].count(
        "foreign_key_check: 12345 violations"
    )


def test_checks_of_a_missing_column_are_left_out(bundle: Bundle) -> None:
    bundle.sql(
        "INSERT INTO sessions (id, app_name, user_id) VALUES ('a', 'chat', 'u');"
        "PRAGMA ignore_check_constraints = ON; UPDATE sessions SET events = '[}';"
        "ALTER TABLE sessions RENAME COLUMN metadata TO meta"
    )
    assert bundle.run("verify") == 1
    assert bundle.failed()["every row satisfies the declared CHECKs"] == [
        "table sessions, 1 rows break CHECK (json_valid ( events ))"
    ]


def test_database_that_another_one_writes_is_verified(bundle: Bundle) -> None:
    """The writer's open transaction is neither seen nor held up."""
    writer = sqlite3.connect(bundle.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DROP TABLE metrics")
    assert bundle.run("verify") == 0
    writer.execute("COMMIT")
    writer.close()
    assert bundle.run("verify") == 1


CHANGES_TABLES = """
import sqlite3

connection = sqlite3.connect("abathur.db", isolation_level=None)
while True:
    connection.execute("CREATE TABLE mine (x TEXT UNIQUE)")
    connection.execute("DROP TABLE mine")
"""


def test_schema_that_changes_is_read_in_one_state(bundle: Bundle) -> None:
    command = [sys.executable, "-c", CHANGES_TABLES]
    application = subprocess.Popen(command, cwd=bundle.path.parent)
    seen: set[bool] = set()
    deadline = time.monotonic() + 10
    try:
        while len(seen) < 2 and time.monotonic() < deadline:
            for _ in range(100):
                with closing(connect(bundle.path, "ro", declared().settings)) as connection:
                    schema = read_schema(connection)
                indexes = [index for index in schema.indexes.values() if index.table == "mine"]
                assert len(indexes) == ("mine" in schema.tables)
                seen.add("mine" in schema.tables)
    finally:
        application.kill()
        application.wait()
    assert seen == {True, False}
