"""The schema of a cluster, as text and as an empty copy in memory."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence

from ..schema.text import quoted, tokens

OBJECTS = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema"
    " WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY "
)
FINGERPRINT = (
    "(SELECT ifnull(group_concat(type || '|' || name || '|' || tbl_name || '|' || hex(sql)), '')"
    f" FROM ({OBJECTS} type, name))"
)
"""An expression for the whole schema as text, the same on each node. (`schema_version` is not: each
vacuums its own file.)"""

SUMMARY = (
    "(SELECT count(*) || ',' || total(length(sql)) || ',' || total(length(sql) * length(name))"
    f" FROM ({OBJECTS} rowid))"
)
"""An expression that is short, and different for most other schemas."""


def remake(execute: Callable[..., sqlite3.Cursor], objects: Iterable[Sequence[object]]) -> None:
    """Replace everything in a database by these objects, rows of OBJECTS; `execute` runs a
    statement there.
    """
    (enforced,) = execute("PRAGMA foreign_keys").fetchone()
    execute("PRAGMA foreign_keys = OFF")  # a table goes though others reference it
    for kind in ("trigger", "view", "index", "table"):
        found = execute(f"SELECT name FROM ({OBJECTS} rowid) WHERE type = ?", (kind,)).fetchall()
        for (name,) in found:
            if _is_there(execute, kind, name):  # a virtual table takes its shadow tables along
                execute(f"DROP {kind} {quoted(name)}")
    # After a VACUUM virtual tables come last, but they make their shadow tables.
    for kind, name, _, text in sorted((tuple(map(str, one)) for one in objects), key=_is_real):
        if not _is_there(execute, kind, name):  # and it brings them
            execute(text)
    execute(f"PRAGMA foreign_keys = {enforced}")


def _is_real(row: Sequence[str]) -> bool:
    return [token.text for token in tokens(row[3])[:2]] != ["create", "virtual"]


def _is_there(execute: Callable[..., sqlite3.Cursor], kind: str, name: str) -> bool:
    found = execute("SELECT 1 FROM sqlite_schema WHERE type = ? AND name = ?", (kind, name))
    return found.fetchone() is not None
