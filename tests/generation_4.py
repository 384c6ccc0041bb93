"""The application of generation 4: what it makes at each start, what it would migrate, and what it
does all day.

`python generation_4.py DATABASE LOG` works until its standard input ends, and writes a line for
each transaction that SQLite has acknowledged.
"""

import json
import select
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

SCHEMA = (Path(__file__).parent / "generations" / "4.sql").read_text("utf-8")

VIRTUAL = "CREATE VIRTUAL TABLE document_embeddings USING vec0(embedding float[384])"
"""Of a vector module that is not loaded here."""

SHADOWS = (
    "CREATE TABLE document_embeddings_info (key TEXT PRIMARY KEY, value ANY)",
    "CREATE TABLE document_embeddings_chunks (chunk_id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " size INTEGER NOT NULL, validity BLOB NOT NULL, rowids BLOB NOT NULL)",
    "CREATE TABLE document_embeddings_rowids (rowid INTEGER PRIMARY KEY AUTOINCREMENT, id,"
    " chunk_id INTEGER, chunk_offset INTEGER)",
    "CREATE TABLE document_embeddings_vector_chunks00 (rowid PRIMARY KEY, vectors BLOB NOT NULL)",
)

WANTED = {
    "tasks": (
        "prompt",
        "max_execution_timeout_seconds",
        "last_updated_at",
        "session_id",
        "summary",
    ),
    "agents": ("session_id",),
    "audit": ("memory_operation_type", "memory_namespace", "memory_entry_id"),
    "checkpoints": ("session_id",),
}
"""The columns that it looks for at each start."""

NOW = "2025-10-20T12:00:00+00:00"


def connect(path: Path) -> sqlite3.Connection:
    """A connection as it opens them."""
    connection = sqlite3.connect(path)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def start(connection: sqlite3.Connection) -> list[str]:
    """What it does at each start; returns what it found and would migrate."""
    connection.executescript(SCHEMA)
    connection.commit()
    return list(to_migrate(connection))


def to_migrate(connection: sqlite3.Connection) -> Iterator[str]:
    """What it would rebuild a table for."""
    for table, wanted in WANTED.items():
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        yield from (f"{table}.{name} is missing" for name in wanted if name not in columns)
    for table in ("agents", "checkpoints"):
        for row in connection.execute(f"PRAGMA foreign_key_list({table})"):
            if row[2] == "tasks" and row[6] != "CASCADE":
                yield f"{table} does not go with its task"
    if any(
        row[1] == "task_id" and row[3] for row in connection.execute("PRAGMA table_info(audit)")
    ):
        yield "audit.task_id is NOT NULL"
    if any(row[2] == "tasks" for row in connection.execute("PRAGMA foreign_key_list(audit)")):
        yield "audit.task_id is a foreign key"


def make_vectors(connection: sqlite3.Connection) -> None:
    """The virtual table and its shadow tables, as they stand in a file without the module."""
    for sql in SHADOWS:
        connection.execute(sql)
    connection.execute("INSERT INTO document_embeddings_chunks VALUES (1, 8, x'01', x'0100')")
    connection.execute("INSERT INTO document_embeddings_rowids VALUES (1, NULL, 1, 0)")
    connection.execute("INSERT INTO document_embeddings_vector_chunks00 VALUES (1, x'0000803f')")
    connection.commit()
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "INSERT INTO sqlite_schema VALUES ('table', 'document_embeddings', 'document_embeddings',"
        " 0, ?)",
        (VIRTUAL,),
    )
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA writable_schema = RESET")
    connection.commit()


def add_task(
    connection: sqlite3.Connection, parent: str | None = None, status: str = "ready"
) -> str:
    """A task, what depends on its parent, its agent, checkpoint and trail."""
    task = str(uuid.uuid4())
    with connection:
        connection.execute(
            "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at,"
            " parent_task_id, source, dependency_type, calculated_priority, summary)"
            " VALUES (?, 'do', ?, '{}', ?, ?, ?, 'agent_planner', 'parallel', 7.5, 'Do it')",
            (task, status, NOW, NOW, parent),
        )
        if parent:
            connection.execute(
                "INSERT INTO task_dependencies VALUES (?, ?, ?, 'sequential', ?, NULL)",
                (str(uuid.uuid4()), task, parent, NOW),
            )
        connection.execute(
            "INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)"
            " VALUES (?, 'n', 's', ?, 'idle', 'm', ?)",
            (str(uuid.uuid4()), task, NOW),
        )
        connection.execute(
            "INSERT INTO checkpoints (task_id, iteration, state, created_at)"
            " VALUES (?, 1, '{}', ?)",
            (task, NOW),
        )
        connection.execute(
            "INSERT INTO audit (timestamp, task_id, action_type) VALUES (?, ?, 'submitted')",
            (NOW, task),
        )
        connection.execute(
            "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES (?, 'tokens', 12)",
            (NOW,),
        )
        connection.execute(
            "INSERT INTO state (task_id, key, value, created_at, updated_at)"
            " VALUES (?, 'k', '1', ?, ?)",
            (task, NOW, NOW),
        )
    return task


def remember(connection: sqlite3.Connection, key: str, version: int = 1) -> int:
    """A version of a memory, outside of a task; returns its id."""
    with connection:
        memory = connection.execute(
            "INSERT INTO memory_entries (namespace, key, value, memory_type, version, created_by)"
            " VALUES ('user:alice', ?, '{}', 'semantic', ?, 'alice')",
            (key, version),
        ).lastrowid
        connection.execute(
            "INSERT INTO audit (timestamp, task_id, action_type, memory_operation_type,"
            " memory_namespace, memory_entry_id) VALUES (?, NULL, 'memory', ?, 'user:alice', ?)",
            (NOW, "create" if version == 1 else "update", memory),
        )
    assert memory
    return memory


def forget(connection: sqlite3.Connection, key: str) -> None:
    """Mark a memory, and take away its versions for good."""
    with connection:
        connection.execute("UPDATE memory_entries SET is_deleted = 1 WHERE key = ?", (key,))
        connection.execute(
            "INSERT INTO audit (timestamp, action_type, memory_operation_type, memory_namespace)"
            " VALUES (?, 'memory', 'delete', 'user:alice')",
            (NOW,),
        )
        connection.execute("DELETE FROM memory_entries WHERE key = ?", (key,))


def talk(connection: sqlite3.Connection) -> None:
    """A session, an event of it, and a document."""
    name = str(uuid.uuid4())
    with connection:
        connection.execute(
            "INSERT INTO sessions (id, app_name, user_id) VALUES (?, 'chat', 'alice')", (name,)
        )
        connection.execute(
            "UPDATE sessions SET events = json_insert(events, '$[#]', json('{}')),"
            " status = 'active' WHERE id = ?",
            (name,),
        )
        document = connection.execute(
            "INSERT INTO document_index (file_path, title, content_hash) VALUES (?, 't', 'h')",
            (f"{name}.md",),
        ).lastrowid
        connection.execute(
            "INSERT INTO document_embedding_metadata (document_id, namespace, file_path,"
            " embedding_model) VALUES (?, 'user:alice', ?, 'm')",
            (document, f"{name}.md"),
        )


def prune(connection: sqlite3.Connection, task: str) -> None:
    """A task goes with all that hangs on it, and leaves its trail behind."""
    with connection:
        connection.execute(
            "UPDATE tasks SET parent_task_id = NULL WHERE parent_task_id = ?", (task,)
        )
        connection.execute("DELETE FROM state WHERE task_id = ?", (task,))
        connection.execute("DELETE FROM tasks WHERE id = ?", (task,))
    for table in ("agents", "checkpoints"):
        count = f"SELECT count(*) FROM {table} WHERE task_id = ?"
        assert connection.execute(count, (task,)).fetchone() == (0,), table
    trail = "SELECT count(*) FROM audit WHERE task_id = ?"
    assert connection.execute(trail, (task,)).fetchone() != (0,)


def work(connection: sqlite3.Connection, number: int) -> dict[str, str]:
    """A round of all that it does; what must be there afterwards, by table."""
    parent = add_task(connection)
    child = add_task(connection, parent)
    prune(connection, parent)
    key = f"key {number} {uuid.uuid4()}"
    remember(connection, key)
    remember(connection, key, 2)
    other = f"other {number} {uuid.uuid4()}"
    remember(connection, other)
    forget(connection, other)
    talk(connection)
    return {"tasks": child, "memory_entries": key}


def main() -> None:
    """Work until standard input ends."""
    with closing(connect(Path(sys.argv[1]))) as connection, Path(sys.argv[2]).open("w") as log:
        number = 0
        while not select.select([sys.stdin], [], [], 0.002)[0]:
            number += 1
            print(json.dumps(work(connection, number)), file=log, flush=True)


if __name__ == "__main__":
    main()
