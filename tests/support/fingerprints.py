"""Hashes that show whether rows or files are unchanged, byte for byte."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support import older


def files_below(folder: Path) -> dict[str, str]:
    """Return a hash of every file below a folder, by path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def digests(path: Path) -> dict[str, str]:
    """Return a hash of each table's rows over its current columns, SQLite's own tables included."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
            " AND name NOT IN ('sqlite_schema', 'sqlite_temp_schema')"
        ).fetchall()
        return {
            name: older.digest(connection, name, older.columns_of(connection, name))
            for (name,) in tables
        }


def old_digests(path: Path, columns: dict[str, list[str]]) -> dict[str, str]:
    """Return the same hashes over the given columns only, which an upgrade must leave unchanged."""
    with closing(sqlite3.connect(path)) as connection:
        return {table: older.digest(connection, table, of) for table, of in columns.items()}


def columns(path: Path) -> dict[str, list[str]]:
    """Return the columns of each table except SQLite's own."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
            " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        ).fetchall()
        return {name: older.columns_of(connection, name) for (name,) in tables}


def renamed(names: list[str]) -> list[str]:
    """Return the names of these columns after the upgrade."""
    return ["prompt" if name == "template_name" else name for name in names]
