"""Find what in a schema cannot be used: each view, table and trigger is prepared on an empty copy.

A view or trigger that SQLite cannot prepare fails only when it is used.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from .model import Schema
from .scratch import copy_of, trust
from .text import fold, quoted


def unusable(live: Schema) -> dict[str, str]:
    """What SQLite cannot prepare, with the reason for each."""
    copy, _ = copy_of(live)
    with closing(copy):
        trust(copy)
        copy.execute("PRAGMA foreign_keys = ON")
        return dict(_unusable(copy, live))


def _unusable(copy: sqlite3.Connection, live: Schema) -> Iterator[tuple[str, str]]:
    made = {fold(name) for (name,) in copy.execute("SELECT name FROM sqlite_schema")}
    for name, view in live.views.items():
        if name in made and (error := _error(copy, f"SELECT * FROM {quoted(view.name)} LIMIT 1")):
            yield f"view {view.name}", error
    for name, table in live.tables.items():
        if name not in made or table.kind == "shadow":
            continue
        of = quoted(table.name)
        if table.kind == "virtual":
            if error := _error(copy, f"SELECT * FROM {of} LIMIT 1"):
                yield f"virtual table {table.name}", error
            continue
        columns = [quoted(one.name) for one in table.columns if not one.generated]
        sets = ", ".join(f"{column} = {column}" for column in columns)
        for verb, statement in (
            ("INSERT into", f"EXPLAIN INSERT INTO {of} DEFAULT VALUES"),
            ("UPDATE of", f"EXPLAIN UPDATE {of} SET {sets}"),
            ("DELETE from", f"EXPLAIN DELETE FROM {of}"),
        ):
            if error := _error(copy, statement):
                yield f"{verb} table {table.name}{_by_trigger(live, table.name)}", error


def _by_trigger(live: Schema, table: str) -> str:
    names = [one.name for one in live.triggers.values() if fold(one.table) == fold(table)]
    return f" (trigger {', '.join(names)})" if names else ""


def _error(copy: sqlite3.Connection, statement: str) -> str:
    try:
        copy.execute(statement).fetchall()
    except sqlite3.Error as error:
        return str(error)
    return ""
