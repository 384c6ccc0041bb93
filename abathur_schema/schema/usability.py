"""Find what in a schema cannot be used: each view, table and trigger is prepared on an empty copy.

A view or trigger that SQLite cannot prepare fails only when it is used.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from sqlite_utils.db import ForeignKey

from .model import Schema, folded
from .scratch import copy_of, trust
from .text import fold, quoted


def unusable(live: Schema) -> dict[str, str]:
    """What SQLite cannot prepare, with the reason for each."""
    copy, _ = copy_of(live)
    with closing(copy):
        trust(copy)
        copy.execute("PRAGMA foreign_keys = ON")
        return dict(_unusable(copy, live))


def may_be_unusable(live: Schema) -> bool:
    """Whether it may have something that cannot be used: at a glance, without a copy."""
    keys = (key for table in live.tables.values() for key in table.foreign_keys)
    is_virtual = any(table.kind == "virtual" for table in live.tables.values())
    has_more = bool(live.views or live.triggers or is_virtual)
    return has_more or not all(_has_parent_key(live, key) for key in keys)


def _has_parent_key(live: Schema, key: ForeignKey) -> bool:
    """Whether a foreign key references a PRIMARY KEY, or columns that a UNIQUE keeps apart. If not,
    SQLite refuses to write to its table, and what of the parent would concern it: "foreign key
    mismatch" (SQLite documentation, "Required and Suggested Database Indexes").
    """
    parent = live.tables.get(fold(key.other_table))
    if parent is None:
        return False
    columns = folded(key.other_columns)
    if parent.has_rowid_key and columns == parent.folded_key:
        return True
    wanted = sorted((name, parent.collations.get(name, "BINARY")) for name in columns)
    return any(
        index.unique
        and not index.where
        and sorted((fold(one.name), one.collation) for one in index.columns) == wanted
        for index in live.indexes_on(parent.name)
    )


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
