"""Stand-ins for functions and collations that only the application has.

Without them SQLite refuses to check a file whose schema names them. With them it checks all pages,
rows and keys except what they determine: the order and content of indexes.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple, TypeVar

from .text import fold, quoted, tokens, unquoted

T = TypeVar("T")


class Lacking(NamedTuple):
    """A function or collation that SQLite does not know."""

    kind: str
    name: str


_SAYS = re.compile(r"(?:unknown|no such) (function|collation sequence): ([^()]+)")

MOST = 100
"""The most application-defined names that a schema may use."""


def lacking(error: Exception) -> Lacking | None:
    """The function or collation that an error of SQLite reports as missing."""
    found = _SAYS.match(str(error))
    return Lacking(found[1], found[2]) if found else None


def is_lacking(error: str) -> bool:
    """Whether SQLite failed for lack of an application-defined function, collation or module."""
    return bool(_SAYS.match(error)) or error.startswith("no such module")


def needs(create: str, what: Lacking) -> bool:
    """Whether the statement of a table, an index or a trigger calls this function, or names this
    collation; tables, columns and indexes may have the same name.
    """
    name, found = fold(what.name), tokens(create)
    if what.kind != "function":
        collate = ("word", "collate")
        return any(a == collate and unquoted(b.text) == name for a, b in pairwise(found))
    # In a trigger, what follows ON is a condition, or a table without a parenthesis after it.
    is_trigger = found[1:2] == (("word", "trigger"),)
    tables_follow = {"table", "into", "references", "" if is_trigger else "on"}
    return any(
        unquoted(word.text) == name and after == ("sign", "(") and before.text not in tables_follow
        for before, word, after in zip(found, found[1:], found[2:], strict=False)
    )


def stand_in(connection: sqlite3.Connection, for_: Lacking) -> None:
    """Register a stand-in that treats all values as equal."""
    if for_.kind == "function":
        connection.create_function(for_.name, -1, lambda *_: None, deterministic=True)
    else:
        connection.create_collation(for_.name, lambda *_: 0)


def take_away(connection: sqlite3.Connection, names: Iterable[Lacking]) -> None:
    """Unregister the stand-ins."""
    for one in names:
        if one.kind == "function":
            connection.create_function(one.name, -1, None)
        else:
            connection.create_collation(one.name, None)


def asking(connection: sqlite3.Connection, made: set[Lacking], ask: Callable[[], T]) -> T:
    """Return what `ask` returns, registering (in `made`, too) stand-ins for what it lacks."""
    while True:
        try:
            return ask()
        except sqlite3.OperationalError as error:
            found = lacking(error)
            if not found or found in made or len(made) == MOST:
                raise
            made.add(found)
            stand_in(connection, found)


def with_stand_ins(connection: sqlite3.Connection, ask: Callable[[], T]) -> T:
    """Return what `ask` returns, with stand-ins for what it lacks while it runs."""
    made: set[Lacking] = set()
    try:
        return asking(connection, made, ask)
    finally:
        take_away(connection, made)


def number_of_rows(connection: sqlite3.Connection, table: str) -> int:
    """The rows of a table, also where SQLite counts them in an index with a collation that only the
    application has.
    """
    sql = f"SELECT count(*) FROM {quoted(table)}"
    (count,) = with_stand_ins(connection, lambda: connection.execute(sql).fetchone())
    return int(count)
