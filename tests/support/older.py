"""Databases as older applications left them: small or large, extended, or with violations.

`python -m tests.support.older --generation 1 --tasks 300000 --audit 600000 out.db` creates one.
"""

import argparse
import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support.older_applications import (
    APPLICATIONS,
    FOLDER,
    GENERATIONS,
    Application,
    columns_of,
    generation_of,
    old_columns,
)
from tests.support.older_rows import fill

__all__ = (
    "APPLICATIONS",
    "GENERATIONS",
    "Application",
    "columns_of",
    "digest",
    "extend",
    "fill",
    "generation_of",
    "make",
    "old_columns",
    "violate",
)

OWN_COLUMNS = """
    urgency INTEGER GENERATED ALWAYS AS (priority * 10) STORED,
    owner TEXT COLLATE NOCASE REFERENCES app_users(id) DEFERRABLE INITIALLY DEFERRED,
    made DATETIME DEFAULT CURRENT_TIMESTAMP /* not by ALTER; that takes no such default, */,
    ticket INTEGER UNIQUE,
    tries SMALLINT DEFAULT (1 + 2) NOT NULL,
    """
"""Columns that an application with its own CREATE TABLE added in the middle of tasks."""


def make(
    path: Path,
    generation: int,
    *,
    tasks: int = 60,
    audit: int = 120,
    seed: int = 0,
    extended: bool = False,
    violating: bool = False,
) -> None:
    """Create a database of a generation and fill it with rows; optionally extend it, or add rows
    that violate foreign keys. The same arguments produce the same rows.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        APPLICATIONS[generation].start(connection)
        with _without_indexes(connection):
            fill(connection, generation, tasks=tasks, audit=audit, seed=seed)
        if extended:
            extend(connection)
        if violating:
            violate(connection)


def violate(connection: sqlite3.Connection) -> int:
    """Add rows without parents, as left by applications that do not enforce foreign keys: one to
    state, two to audit, two to tasks. Return the number of violations.
    """
    application = APPLICATIONS[generation_of(connection)]
    (task,) = connection.execute("SELECT id FROM tasks WHERE id IS NOT NULL LIMIT 1").fetchone()
    with _unenforced(connection):
        connection.execute("BEGIN")
        with connection:
            application.add(connection, "state", task_id="gone")
            application.add(connection, "audit", task_id=task, agent_id="gone")
            application.add(connection, "audit", task_id="gone", agent_id="gone\0too")
            application.add(connection, "tasks", parent_task_id="gone")
            application.add(connection, "tasks", parent_task_id=b"gone")
    return 6


def extend(connection: sqlite3.Connection) -> None:
    """Add an application's own objects, beside the core tables and in them:
    `generations/extended.sql`, `OWN_COLUMNS`, and a full-text table where SQLite has FTS5. Call
    this once, on a database of any generation.
    """
    old_name = "template_name" if generation_of(connection) == 1 else "prompt"
    with _unenforced(connection):
        _add_own_columns(connection)
        text = (FOLDER / "extended.sql").read_text("utf-8")
        connection.executescript(re.sub(r"\bprompt\b", old_name, text))
        modules = {name for (name,) in connection.execute("SELECT name FROM pragma_module_list")}
        if "fts5" in modules:
            connection.executescript(
                f"""
                CREATE VIRTUAL TABLE app_search USING fts5(what);
                INSERT INTO app_search (rowid, what)
                    SELECT rowid, {old_name} FROM tasks ORDER BY rowid LIMIT 20;
                CREATE TRIGGER app_searchable AFTER INSERT ON tasks BEGIN
                    INSERT INTO app_search (rowid, what) VALUES (new.rowid, new.{old_name});
                END;
                """
            )


def _add_own_columns(connection: sqlite3.Connection) -> None:
    """Insert `OWN_COLUMNS` before tasks.input_data, which requires rebuilding the table."""
    (create,) = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'tasks'"
    ).fetchone()
    indexes = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'tasks' AND sql > ''"
    ).fetchall()
    create = re.sub(r"\btasks\b", "tasks_new", create, count=1)
    create = re.sub(r'["`]?\binput_data\b', lambda found: OWN_COLUMNS + found[0], create, count=1)
    names = ", ".join(columns_of(connection, "tasks"))
    connection.execute("BEGIN")
    with connection:
        connection.execute(create)
        connection.execute(
            f"INSERT INTO tasks_new (rowid, {names}, owner, made, ticket)"
            f" SELECT rowid, {names}, CASE WHEN rowid % 3 = 0 THEN 'u1' END,"
            " '2024-05-01 00:00:00', CASE WHEN rowid % 4 THEN rowid END FROM tasks ORDER BY rowid"
        )
        connection.execute("DROP TABLE tasks")
        connection.execute("ALTER TABLE tasks_new RENAME TO tasks")
        for (index,) in indexes:
            connection.execute(index)


@contextmanager
def _without_indexes(connection: sqlite3.Connection) -> Iterator[None]:
    """Drop all indexes, and recreate them afterwards: far faster than maintaining them while many
    rows are inserted.
    """
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql > '' ORDER BY rowid"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _, create in indexes:
        connection.execute(create)


@contextmanager
def _unenforced(connection: sqlite3.Connection) -> Iterator[None]:
    """Turn off the enforcement of foreign keys inside the block."""
    (before,) = connection.execute("PRAGMA foreign_keys").fetchone()
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA foreign_keys = {before}")


def digest(connection: sqlite3.Connection, table: str, columns: Iterable[str]) -> str:
    """Return a hash of all rows with their rowids and types, bit for bit, ordered by rowid (by the
    columns in a WITHOUT ROWID table).

    Column names are not included: renaming a column does not change the hash.
    """
    (without,) = connection.execute("SELECT max(wr) FROM pragma_table_list(?)", (table,)).fetchone()
    names = ['"' + name.replace('"', '""') + '"' for name in columns]
    # Text is read as a blob because it may contain NUL or invalid UTF-8.
    values = [
        f"typeof({name}), CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"
        for name in names
    ]
    order = names if without else ["rowid"]
    wanted = ", ".join(values if without else ["rowid", *values])
    quoted = table.replace('"', '""')
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute(f'SELECT {wanted} FROM "{quoted}" ORDER BY {", ".join(order)}')
    state = hashlib.sha256()
    for row in cursor:
        state.update(repr(row).encode())
    return state.hexdigest()


def main() -> None:
    """Create one database from the command line."""
    parser = argparse.ArgumentParser(description="Make a database of an older generation.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--generation", type=int, choices=GENERATIONS, default=1)
    for number, default in (("tasks", 60), ("audit", 120), ("seed", 0)):
        parser.add_argument(f"--{number}", type=int, default=default)
    for flag in ("extended", "violating"):
        parser.add_argument(f"--{flag}", action="store_true")
    make(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
