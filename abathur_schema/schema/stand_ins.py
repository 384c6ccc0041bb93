"""Stand-ins for functions and collations that only the application has.

Without them SQLite says nothing at all of a file in whose schema they are named. With them it tells
of all pages, rows and keys but of what they decide: the order and the content of indexes.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Lacking(NamedTuple):
    """A function or a collation that SQLite does not know."""

    kind: str
    name: str


_SAYS = re.compile(r"(?:unknown|no such) (function|collation sequence): ([^()]+)")

MOST = 100
"""So many names a schema may have that only its application knows."""


def lacking(error: Exception) -> Lacking | None:
    """What SQLite says that it lacks."""
    found = _SAYS.match(str(error))
    return Lacking(found[1], found[2]) if found else None


def is_lacking(error: str) -> bool:
    """Whether SQLite could not do something for the lack of what only the application has."""
    return bool(_SAYS.match(error)) or error.startswith("no such module")


def stand_in(connection: sqlite3.Connection, for_: Lacking) -> None:
    """From now on it is there, and finds all values equal."""
    if for_.kind == "function":
        connection.create_function(for_.name, -1, lambda *_: None, deterministic=True)
    else:
        connection.create_collation(for_.name, lambda *_: 0)


def take_away(connection: sqlite3.Connection, names: Iterable[Lacking]) -> None:
    """They are not there any more."""
    for one in names:
        if one.kind == "function":
            connection.create_function(one.name, -1, None)
        else:
            connection.create_collation(one.name, None)


def asking(connection: sqlite3.Connection, made: set[Lacking], ask: Callable[[], T]) -> T:
    """What `ask` returns; what it lacks is stood in for, and put into `made`."""
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
    """What `ask` returns; what it lacks is stood in for as long as it is asked."""
    made: set[Lacking] = set()
    try:
        return asking(connection, made, ask)
    finally:
        take_away(connection, made)
