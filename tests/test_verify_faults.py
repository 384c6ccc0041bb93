"""Every difference from the declared form is found, and named so that a person can act on it."""

import hashlib
from collections.abc import Callable

import pytest

from tests.support import another_form
from tests.support.bundle import Bundle


def rewrite(name: str, old: str, new: str) -> Callable[[Bundle], None]:
    """Change the text of a table or an index in sqlite_schema."""
    return lambda bundle: another_form.rewrite(bundle, name, old, new)


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


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named(bundle: Bundle, fault: str) -> None:
    make, check, finding = FAULTS[fault]
    make(bundle)
    before = hashlib.sha256(bundle.path.read_bytes()).hexdigest()
    assert bundle.run("verify") == 1
    failed = bundle.failed()
    assert any(finding in line for line in failed[check]), failed
    assert hashlib.sha256(bundle.path.read_bytes()).hexdigest() == before
