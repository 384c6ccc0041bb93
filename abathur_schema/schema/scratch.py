"""Databases in memory in which to try what stands in the schema of a file, whoever made it."""

import sqlite3
import sys
from contextlib import closing
from functools import cache, partial
from itertools import count
from typing import Any

from ..interruption import stop_asked
from .model import Schema
from .stand_ins import Lacking, asking
from .text import fold, is_utf8

STEPS_BETWEEN_LOOKS = 1_000_000
"""After so many steps of its virtual machine, some milliseconds, SQLite looks for a Ctrl-C."""

STEPS = 200_000_000
STEPS_PER_BYTE = 200
"""How many steps (and how many more for each byte of the file) SQLite may take on a connection that
is guarded: some seconds at least, and a hundred times what a sound file needs. A hostile one could
have it work for ever: pages that point to each other in ways that no tree has.
"""

LONGEST = 16 * 1024 * 1024
"""How long a value may be, in bytes, in a file that is itself no longer: far less than the 1 GB
that an expression in a hostile schema could ask SQLite to make, for each row."""


def guard(connection: sqlite3.Connection, size: int) -> None:
    """Let the schema and the pages of a file of `size` bytes, whoever made it, do no harm (SQLite
    documentation, "Defense Against The Dark Arts").

    What stands in the schema may call harmless functions only, a page is looked at before it is
    used, and neither time nor memory is without bound. Extensions are off as Python leaves them.
    Not for connections of applications, whose own functions may stand in their schema.
    """
    if _json_is_harmless():
        connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    bound(connection, size)
    if sys.version_info >= (3, 11):  # before, Python cannot set it, and SQLite's own 1 GB is it
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size, LONGEST))


_BYTES = {0xDC00 + byte: 0x10F700 + byte for byte in range(0x80, 0x100)}
_LETTERS = {letter: byte for byte, letter in _BYTES.items()}
"""Python can say to SQLite only what is UTF-8: in memory a letter that nobody uses stands in place
of each byte that is not."""

exactly = partial(str, encoding="utf-8", errors="surrogateescape")
"""How text is read: bytes that are no UTF-8 are kept, too."""


class Scratch(sqlite3.Connection):
    """A database in memory that takes texts as they were read, be they no UTF-8, or name what
    only the application has, which `lacks` tells.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lacks: set[Lacking] = set()

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        """Run a statement."""
        said = sql if is_utf8(sql) else sql.translate(_BYTES)
        execute = super().execute
        return asking(self, self.lacks, lambda: execute(said, *args))


def scratch() -> Scratch:
    """A new database in memory, guarded, in which to try what stands in the schema of a file."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Scratch)
    connection.text_factory = _as_it_was
    guard(connection, 0)
    return connection


def _as_it_was(text: bytes) -> str:
    return text.decode() if text.isascii() else exactly(text).translate(_LETTERS)


def bound(connection: sqlite3.Connection, size: int) -> None:
    """Let SQLite take on `connection` no more steps than a sound file of `size` bytes needs."""
    looks, last = count(1), (STEPS + STEPS_PER_BYTE * size) // STEPS_BETWEEN_LOOKS
    connection.set_progress_handler(lambda: stop_asked() or next(looks) > last, STEPS_BETWEEN_LOOKS)


@cache
def _json_is_harmless() -> bool:
    """Whether this SQLite lets a CHECK call json_valid() in a schema that is not trusted. 3.38 to
    3.40 do not, by mistake. There it stays trusted, which matters little: functions that reach out
    of the database are refused in a schema anyway, and nobody here defines others.
    """
    with closing(sqlite3.connect(":memory:")) as trial:
        trial.execute("PRAGMA trusted_schema = OFF")
        try:
            trial.execute("CREATE TABLE t (x CHECK (json_valid(x)))")
        except sqlite3.OperationalError:
            return False
        return True


def copy_of(live: Schema) -> tuple[Scratch, set[str]]:
    """An empty copy of a schema in memory, and the folded names of what cannot be made there."""
    copy = scratch()
    apart: set[str] = set()
    things = (live.tables, live.indexes, live.views, live.triggers)
    for thing in (thing for kind in things for thing in kind.values()):
        # A virtual table makes its shadow tables.
        if thing.sql and getattr(thing, "kind", "") != "shadow":
            try:
                copy.execute(thing.sql)
            except sqlite3.Error:
                apart.add(fold(thing.name))
    return copy, apart
