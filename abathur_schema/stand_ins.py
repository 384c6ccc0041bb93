"""Stand-ins for functions and collations that only the application has.

Without them SQLite says nothing at all of a file in whose schema they are named. With them it tells
of all pages, rows and keys but of what they decide: the order and the content of indexes.
"""

import re
import sqlite3
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LACKING = re.compile(r"(?:unknown|no such) (function|collation sequence): ([^()]+)")
"""What SQLite says of them."""

MOST = 100


def with_stand_ins(connection: sqlite3.Connection, ask: Callable[[], T]) -> T:
    """What `ask` returns; whatever it lacks is there while it is asked, and equal to all else."""
    made: list[tuple[str, str]] = []
    try:
        while True:
            try:
                return ask()
            except sqlite3.OperationalError as error:
                found = LACKING.match(str(error))
                if not found or found.groups() in made or len(made) == MOST:
                    raise
                made.append((found[1], found[2]))
                if found[1] == "function":
                    connection.create_function(found[2], -1, lambda *_: None, deterministic=True)
                else:
                    connection.create_collation(found[2], lambda *_: 0)
    finally:
        for kind, name in made:
            if kind == "function":
                connection.create_function(name, -1, None)
            else:
                connection.create_collation(name, None)


def is_lacking(error: str) -> bool:
    """Whether SQLite could not do something for the lack of what only the application has."""
    return bool(LACKING.match(error)) or error.startswith("no such module")
