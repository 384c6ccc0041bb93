"""`verify` names each fault so that a person can act; every fault is made for real."""

import hashlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from abathur_schema.declared.declaration import declared
from abathur_schema.schema.reading import read_schema
from abathur_schema.storage.connection import connect
from tests.conftest import Bundle


def rewrite(name: str, old: str, new: str) -> Callable[[Bundle], None]:
    """Change the text by which SQLite knows a table or an index."""

    def change(bundle: Bundle) -> None:
        connection = sqlite3.connect(bundle.path, isolation_level=None)
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE name = ?", (name,)
        ).fetchone()
        assert old in sql
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql.replace(old, new), name)
        )
        connection.execute("PRAGMA writable_schema = RESET")
        connection.close()

    return change


def sql(script: str) -> Callable[[Bundle], None]:
    """Change the database by SQL."""
    return lambda bundle: bundle.sql(script)


FAULTS = {
    "a missing table": (
        sql("DROP TABLE metrics"),
        "core: as declared",
        "table metrics is missing",
    ),
    "a missing column": (
        sql(
            "DROP INDEX idx_agents_session; ALTER TABLE agents DROP COLUMN session_id;"
            "CREATE INDEX idx_agents_session ON agents(spawned_at)"
        ),
        "core: as declared",
        "table agents: column session_id is missing",
    ),
    "a missing index": (
        sql("DROP INDEX idx_audit_agent"),
        "core-indexes: as declared",
        "index idx_audit_agent is missing",
    ),
    "a missing CHECK": (
        rewrite("metrics", "CHECK (metric_value >= 0)", ""),
        "core: as declared",
        "table metrics: CHECK (metric_value >= 0) is missing",
    ),
    "a CHECK that allows more": (
        rewrite("sessions", "'archived'", "'archived', 'gone'"),
        "memory: as declared",
        "table sessions: CHECK (status in ( 'created' , 'active' , 'paused' , 'terminated' ,"
        " 'archived' )) is missing",
    ),
    "a missing UNIQUE": (
        sql(
            "ALTER TABLE state RENAME TO old;"
            "CREATE TABLE state (id INTEGER PRIMARY KEY AUTOINCREMENT,"
            " task_id TEXT NOT NULL REFERENCES tasks(id), key TEXT NOT NULL, value TEXT NOT NULL,"
            " created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL);"
            "DROP TABLE old"
        ),
        "core: as declared",
        "table state: UNIQUE (task_id, key) is missing",
    ),
    "a missing foreign key": (
        rewrite("audit", "REFERENCES agents(id)", ""),
        "core: as declared",
        "table audit: foreign key (agent_id) -> agents(id) is missing",
    ),
    "a foreign key to another table": (
        rewrite("audit", "REFERENCES agents(id)", "REFERENCES tasks(id)"),
        "core: as declared",
        "table audit: foreign key (agent_id) -> agents(id) is missing",
    ),
    "a missing ON DELETE": (
        rewrite("tasks", "REFERENCES sessions(id) ON DELETE SET NULL", "REFERENCES sessions(id)"),
        "core: as declared",
        "table tasks: foreign key (session_id) -> sessions(id) has ON DELETE NO ACTION;"
        " declared is SET NULL",
    ),
    "a foreign key twice, once with another ON DELETE": (
        rewrite(
            "tasks",
            "REFERENCES tasks(id)",
            "REFERENCES tasks REFERENCES tasks(id) ON DELETE CASCADE",
        ),
        "core: as declared",
        "table tasks: foreign key (parent_task_id) -> tasks(id) has ON DELETE CASCADE;"
        " declared is NO ACTION",
    ),
    "a column with a collation": (
        rewrite("agents", "name           TEXT NOT NULL", "name TEXT COLLATE nocase NOT NULL"),
        "core: as declared",
        "table agents: column name has COLLATE NOCASE; declared is without",
    ),
    "a column in quotes with a collation": (
        rewrite("agents", "name           TEXT NOT NULL", "'name' TEXT COLLATE nocase NOT NULL"),
        "core: as declared",
        "table agents: column name has COLLATE NOCASE; declared is without",
    ),
    "a column that drops rows in silence": (
        rewrite(
            "tasks",
            "agent_type                    TEXT NOT NULL",
            "agent_type TEXT NOT NULL ON CONFLICT IGNORE",
        ),
        "core: as declared",
        "table tasks: column agent_type has ON CONFLICT IGNORE; declared is without",
    ),
    "a constraint that replaces rows": (
        rewrite("state", "UNIQUE (task_id, key)", "UNIQUE (task_id, key) ON CONFLICT REPLACE"),
        "core: as declared",
        "table state: UNIQUE (task_id, key) has ON CONFLICT REPLACE; declared is without",
    ),
    "a constraint that rolls back": (
        rewrite("state", "UNIQUE (task_id, key)", "UNIQUE (task_id, key) ON CONFLICT ROLLBACK"),
        "core: as declared",
        "table state: UNIQUE (task_id, key) has ON CONFLICT ROLLBACK; declared is without",
    ),
    "a missing AUTOINCREMENT": (
        rewrite("audit", "AUTOINCREMENT", ""),
        "core: as declared",
        "table audit: AUTOINCREMENT is missing",
    ),
    "a column of another type": (
        rewrite("metrics", "REAL", "TEXT"),
        "core: as declared",
        "table metrics: column metric_value has type TEXT; declared is REAL",
    ),
    "a column with another default": (
        rewrite("tasks", "'general'", "'special'"),
        "core: as declared",
        "table tasks: column agent_type has DEFAULT 'special'; declared is 'general'",
    ),
    "a column without its default": (
        rewrite("tasks", "DEFAULT 3600", ""),
        "core: as declared",
        "table tasks: column max_execution_timeout_seconds has DEFAULT (none); declared is 3600",
    ),
    "a column that may be NULL": (
        sql(
            "ALTER TABLE checkpoints RENAME TO old;"
            "CREATE TABLE checkpoints (task_id TEXT NOT NULL REFERENCES tasks(id),"
            " iteration INTEGER NOT NULL, state TEXT, created_at TIMESTAMP NOT NULL,"
            " session_id TEXT REFERENCES sessions(id) ON DELETE SET NULL,"
            " PRIMARY KEY (task_id, iteration)); DROP TABLE old;"
            "CREATE INDEX idx_checkpoints_created_at ON checkpoints(created_at)"
        ),
        "core: as declared",
        "table checkpoints: column state may be NULL; declared is NOT NULL",
    ),
    "a primary key in another order": (
        sql(
            "ALTER TABLE checkpoints RENAME TO old;"
            "CREATE TABLE checkpoints (task_id TEXT NOT NULL REFERENCES tasks(id),"
            " iteration INTEGER NOT NULL, state TEXT NOT NULL, created_at TIMESTAMP NOT NULL,"
            " session_id TEXT REFERENCES sessions(id) ON DELETE SET NULL,"
            " PRIMARY KEY (iteration, task_id)); DROP TABLE old"
        ),
        "core: as declared",
        "table checkpoints: PRIMARY KEY is (iteration, task_id); declared is (task_id, iteration)",
    ),
    "an index on other columns": (
        sql("DROP INDEX idx_agents_state; CREATE INDEX idx_agents_state ON agents(model)"),
        "core-indexes: as declared",
        "index idx_agents_state is on agents(model); declared is agents(state)",
    ),
    "an index on another table": (
        sql("DROP INDEX idx_agents_state; CREATE INDEX idx_agents_state ON tasks(status)"),
        "core-indexes: as declared",
        "index idx_agents_state is on tasks(status); declared is agents(state)",
    ),
    "an index in another order": (
        sql("DROP INDEX idx_audit_timestamp; CREATE INDEX idx_audit_timestamp ON audit(timestamp)"),
        "core-indexes: as declared",
        "index idx_audit_timestamp is on audit(timestamp); declared is audit(timestamp DESC)",
    ),
    "an index without its WHERE": (
        sql(
            "DROP INDEX idx_memory_updated_at;"
            "CREATE INDEX idx_memory_updated_at ON memory_entries(updated_at DESC)"
        ),
        "memory-indexes: as declared",
        "index idx_memory_updated_at is on memory_entries(updated_at DESC); declared is"
        " memory_entries(updated_at DESC) WHERE is_deleted = 0",
    ),
    "an index with another WHERE": (
        sql(
            "DROP INDEX idx_memory_updated_at;"
            "CREATE INDEX idx_memory_updated_at ON memory_entries(updated_at DESC)"
            " WHERE is_deleted = 1"
        ),
        "memory-indexes: as declared",
        "index idx_memory_updated_at is on memory_entries(updated_at DESC) WHERE is_deleted = 1;"
        " declared is memory_entries(updated_at DESC) WHERE is_deleted = 0",
    ),
    "an index that is unique": (
        sql("DROP INDEX idx_agents_task; CREATE UNIQUE INDEX idx_agents_task ON agents(task_id)"),
        "core-indexes: as declared",
        "index idx_agents_task is on UNIQUE agents(task_id); declared is agents(task_id)",
    ),
    "an index that ignores letter case": (
        sql(
            "DROP INDEX idx_agents_task;"
            "CREATE INDEX idx_agents_task ON agents(task_id COLLATE NOCASE)"
        ),
        "core-indexes: as declared",
        "index idx_agents_task is on agents(task_id COLLATE NOCASE); declared is agents(task_id)",
    ),
    "an index on an expression": (
        sql("DROP INDEX idx_agents_state; CREATE INDEX idx_agents_state ON agents(lower(state))"),
        "core-indexes: as declared",
        "index idx_agents_state is on agents(an expression); declared is agents(state)",
    ),
    "a view called audit": (
        sql("DROP TABLE audit; CREATE VIEW audit AS SELECT 1 AS id"),
        "core: as declared",
        "table audit is missing: the name audit is taken by a view",
    ),
    "a virtual table called audit": (
        sql("DROP TABLE audit; CREATE VIRTUAL TABLE audit USING fts5(result)"),
        "core: as declared",
        "table audit is missing: the name audit is taken by a virtual table",
    ),
    "a missing parent": (
        sql("PRAGMA foreign_keys = OFF; DROP TABLE sessions"),
        "No table lacks the table that its foreign keys reference",
        "table tasks, column session_id, parent sessions",
    ),
    "a foreign-key violation": (
        sql(
            "PRAGMA foreign_keys = OFF; INSERT INTO agents (id, name, specialization, task_id,"
            " state, model, spawned_at) VALUES ('a', 'n', 's', 'nobody', 'idle', 'm', '2026')"
        ),
        "foreign_key_check",
        "table agents, row 1, column task_id, parent tasks",
    ),
    "WAL off": (
        sql("PRAGMA journal_mode = DELETE"),
        "settings of sql/pragma.sql",
        "journal_mode is delete; declared is wal",
    ),
}


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


def test_what_only_its_application_can_prove_is_no_fault(bundle: Bundle, capsys: Any) -> None:
    connection = sqlite3.connect(bundle.path, isolation_level=None)
    connection.create_function("mine", 1, str, deterministic=True)
    connection.execute("CREATE INDEX by_mine ON tasks(mine(prompt))")
    connection.create_collation("icu_de", lambda a, b: (a > b) - (a < b))
    connection.execute("CREATE TABLE people (name TEXT COLLATE icu_de UNIQUE)")
    connection.close()
    assert bundle.run("verify") == 0
    shown = capsys.readouterr().out
    assert "integrity_check of people: no such collation sequence: icu_de" in shown
    assert "integrity_check of tasks: " in shown


def test_damage_beside_what_only_its_application_can_prove_is_found(bundle: Bundle) -> None:
    connection = sqlite3.connect(bundle.path, isolation_level=None)
    connection.create_collation("icu_de", lambda a, b: (a > b) - (a < b))
    connection.execute("CREATE TABLE people (name TEXT COLLATE icu_de UNIQUE)")
    connection.execute("INSERT INTO people VALUES ('a')")
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'people'"
    ).fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(bundle.path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    bundle.path.write_bytes(content)
    assert bundle.run("verify") == 1
    assert "integrity_check" in bundle.failed()


def test_text_that_sorts_otherwise_is_found(empty: Bundle) -> None:
    """In UTF-16le, SQLite's BINARY order is not that of the characters."""
    empty.sql("PRAGMA encoding = 'UTF-16le'; CREATE TABLE mine (x)")
    assert empty.run("init") == 1
    assert "exactly the subtree: Everything below a namespace" in empty.failed()


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named(bundle: Bundle, fault: str) -> None:
    make, check, finding = FAULTS[fault]
    make(bundle)
    before = hashlib.sha256(bundle.path.read_bytes()).hexdigest()
    assert bundle.run("verify") == 1
    failed = bundle.failed()
    assert any(finding in line for line in failed[check]), failed
    assert hashlib.sha256(bundle.path.read_bytes()).hexdigest() == before


NOT_OURS = {
    "a table": ("CREATE TABLE mine (x)", "table mine"),
    "a virtual table, without its shadow tables": (
        "CREATE VIRTUAL TABLE words USING fts5(word)",
        "virtual table words",
    ),
    "a column": ("ALTER TABLE tasks ADD COLUMN colour TEXT", "column tasks.colour"),
    "a generated column": (
        "ALTER TABLE tasks ADD COLUMN size INTEGER AS (length(prompt))",
        "column tasks.size",
    ),
    "a table whose module is missing": (
        "CREATE TABLE t (x); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 0,"
        " sql = 'CREATE VIRTUAL TABLE t USING vec0(x)' WHERE name = 't'",
        "virtual table t",
    ),
    "a column with a collation": (
        "ALTER TABLE tasks ADD COLUMN colour TEXT COLLATE NOCASE",
        "column tasks.colour",
    ),
    "an index on JSON": (
        "CREATE INDEX mine ON tasks(json_extract(input_data, '$.a'))",
        "index mine on tasks(an expression)",
    ),
    "an index": (
        "CREATE INDEX mine ON tasks(created_by, priority)",
        "index mine on tasks(created_by, priority)",
    ),
    "an index on an expression": (
        "CREATE INDEX mine ON tasks(lower(prompt))",
        "index mine on tasks(an expression)",
    ),
    "a trigger": (
        "CREATE TRIGGER mine AFTER INSERT ON tasks BEGIN SELECT 1; END",
        "trigger mine on tasks",
    ),
    "a trigger that refuses rows": (
        "CREATE TRIGGER mine BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'never'); END",
        "trigger mine on audit",
    ),
    "a view": ("CREATE VIEW mine AS SELECT * FROM tasks", "view mine"),
    "a column without a name": ('CREATE TABLE mine (a, "" UNIQUE)', "table mine"),
    "odd names": (
        'CREATE TABLE "my ""own"" table; --" ("ключ [1]" TEXT UNIQUE, `select` BLOB)',
        'table my "own" table; --',
    ),
}


@pytest.mark.parametrize("case", NOT_OURS)
def test_what_is_not_declared_is_information(bundle: Bundle, case: str) -> None:
    script, line = NOT_OURS[case]
    bundle.sql(script)
    assert bundle.run("verify") == 0
    (found,) = (one for one in bundle.report()["checks"] if one["name"] == "not managed here")
    assert (found["status"], found["findings"]) == ("info", [line])
    assert bundle.run("init") == 0


REDUNDANT = {
    "a UNIQUE": (
        "CREATE INDEX mine ON state(task_id, key)",
        "index mine is not needed: UNIQUE (task_id, key) begins with the same columns",
    ),
    "a PRIMARY KEY": (
        "CREATE INDEX mine ON checkpoints(task_id, iteration DESC)",
        "index mine is not needed: PRIMARY KEY (task_id, iteration) begins with the same columns",
    ),
    "the rowid": (
        "CREATE INDEX mine ON audit(id, timestamp)",
        "index mine is not needed: id is the rowid, by which the table is stored",
    ),
    "a declared index": (
        "CREATE INDEX mine ON tasks(status)",
        "index mine is not needed: index idx_tasks_status_priority begins with the same columns",
    ),
    "a declared index in the same rows": (
        "CREATE INDEX mine ON tasks(session_id) WHERE (Session_ID is not null)",
        "index mine is not needed: index idx_tasks_session begins with the same columns",
    ),
    "only some of its rows": ("CREATE INDEX mine ON tasks(status) WHERE status = 'new'", None),
    "an index of other rows": ("CREATE INDEX mine ON memory_entries(memory_type)", None),
    "a constraint of its own": ("CREATE UNIQUE INDEX mine ON agents(task_id, name)", None),
}


@pytest.mark.parametrize("case", REDUNDANT)
def test_redundant_index_is_told_with_the_reason(bundle: Bundle, case: str) -> None:
    script, reason = REDUNDANT[case]
    bundle.sql(script)
    bundle.run("verify")
    (found,) = (one for one in bundle.report()["checks"] if one["name"] == "redundant indexes")
    assert found["findings"] == ([reason] if reason else [])


def test_index_of_the_application_that_serves_better_is_no_fault(bundle: Bundle) -> None:
    bundle.sql(
        "CREATE INDEX mine ON agents(state, id, name, specialization, task_id);"
        "INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'chat', 'alice'); ANALYZE"
    )
    assert bundle.run("verify") == 0
    checks = {check["name"]: check for check in bundle.report()["checks"]}
    here = checks["plans with the indexes and statistics here"]
    assert here["status"] == "info"
    assert any("idle" in finding and "mine" in finding for finding in here["findings"])


UNDECLARED = {
    "a unique index": "CREATE UNIQUE INDEX mine ON agents(name)",
    "a trigger": "CREATE TRIGGER mine BEFORE INSERT ON tasks BEGIN SELECT raise(ABORT, 'no'); END",
    "a table without parent": "CREATE TABLE mine (a REFERENCES gone(x))",
    "a CHECK": "CHECK (length(name) > 9)",
    "a UNIQUE": "UNIQUE (specialization)",
    "a column that every row needs": "mine TEXT NOT NULL",
    "a foreign key": "FOREIGN KEY (model) REFERENCES models(id)",
}


@pytest.mark.parametrize("own", UNDECLARED)
def test_what_is_not_declared_fails_no_check(own: str, bundle: Bundle) -> None:
    sql = UNDECLARED[own]
    if not sql.startswith("CREATE"):
        text = declared().schema.tables["agents"].sql
        end = text.rindex("SET NULL") + len("SET NULL")
        creates = [text for text in declared().creates.values() if " ON agents" in text]
        sql = ";".join(
            ["DROP TABLE agents; CREATE TABLE models (id PRIMARY KEY)", f"{text[:end]}, {sql})"]
            + [create.rstrip(";") for create in creates]
        )
    bundle.sql(sql)
    assert bundle.run("init") == 0
    assert bundle.run("verify") == 0


def test_foreign_key_of_the_application_needs_no_index(bundle: Bundle) -> None:
    bundle.sql(
        "CREATE TABLE teams (id TEXT PRIMARY KEY);"
        "ALTER TABLE tasks ADD COLUMN team TEXT REFERENCES teams(id);"
        "CREATE TABLE members (team TEXT REFERENCES teams(id))"
    )
    assert bundle.run("verify") == 0


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
    assert "and 12325 more; see the report" in shown
    findings = bundle.failed()["foreign_key_check"]
    assert findings[9_999] == "table audit, row 10000, column agent_id, parent agents"
    assert findings[10_000:] == ["and 2345 more"]
    assert bundle.report()["deliverables"]["validation_results"].count(
        "foreign_key_check: 12345 violations"
    )


def test_database_that_another_one_writes_is_verified(bundle: Bundle) -> None:
    """The writer's open transaction is not seen, and not held up."""
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
                with closing(connect(bundle.path, "ro")) as connection:
                    schema = read_schema(connection)
                indexes = [index for index in schema.indexes.values() if index.table == "mine"]
                assert len(indexes) == ("mine" in schema.tables)
                seen.add("mine" in schema.tables)
    finally:
        application.kill()
        application.wait()
    assert seen == {True, False}
