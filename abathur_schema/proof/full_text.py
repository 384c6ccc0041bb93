"""Prove full-text searches by FTS5's own integrity check, without writing to the database."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..declared.declaration import Declared
from ..schema.model import Schema, Table
from ..schema.text import quoted, tokens
from .findings import Check, check

REMEDY = "make it anew: `sqlite3 $database 'DROP TABLE {}'`, then `invoke init`"


def of(declared: Declared, live: Schema) -> dict[str, Table]:
    """The declared FTS5 tables that exist, by the name of their check."""
    found = (live.tables.get(name) for name in declared.schema.tables)
    return {
        f"full-text index {table.name} is sound": table
        for table in found
        if table and ("word", "fts5") in tokens(table.sql)
    }


def sound(connection: sqlite3.Connection, declared: Declared, live: Schema) -> Iterator[Check]:
    """The check of each declared FTS5 table that exists: that its index is what its rows say."""
    for name, table in of(declared, live).items():
        remedy = REMEDY.format(table.name)
        yield check(name, "holds", _faults(connection, table), remedy=remedy)


def _faults(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    """What the integrity check finds (SQLite documentation, "SQLite FTS5 Extension", section "The
    'integrity-check' Command"). The command is a write, so it runs on a temporary table of the same
    definition, whose shadow tables are filled with the rows of the database's.
    """
    name = quoted(table.name)
    with _writing_temporary(connection):
        connection.execute(f"CREATE VIRTUAL TABLE temp.{name}{_definition(table)}")
        try:
            for (shadow,) in connection.execute(
                "SELECT name FROM pragma_table_list WHERE schema = 'temp' AND type = 'shadow'"
            ).fetchall():
                connection.execute(f"DELETE FROM temp.{quoted(shadow)}")
                connection.execute(
                    f"INSERT INTO temp.{quoted(shadow)} SELECT * FROM main.{quoted(shadow)}"
                )
            connection.execute(f"INSERT INTO temp.{name} ({name}) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            yield f"its index is not what its rows say ({error})"
        finally:
            connection.execute(f"DROP TABLE temp.{name}")


def _definition(table: Table) -> str:
    return table.sql[table.sql.lower().index(" using ") :]


@contextmanager
def _writing_temporary(connection: sqlite3.Connection) -> Iterator[None]:
    """Let a connection write temporary tables; the file is opened read-only all the same."""
    connection.execute("PRAGMA query_only = OFF")
    try:
        yield
    finally:
        connection.execute("PRAGMA query_only = ON")
