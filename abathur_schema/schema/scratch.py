"""In-memory databases for trying out the schema of a file, whoever made it."""

import sqlite3
import sys
from contextlib import closing
from functools import cache
from itertools import count
from typing import Any

from ..interruption import stop_asked
from .model import Index, Schema, Table, Trigger, View
from .stand_ins import Lacking, asking
from .text import fold, is_utf8, string, without_attached_name

STEPS_BETWEEN_LOOKS = 1_000_000
"""How many virtual machine steps (a few milliseconds' worth) pass between checks for Ctrl-C."""

STEPS = 200_000_000
STEPS_PER_BYTE = 200
"""The limit of virtual machine steps on a guarded connection, plus steps per byte of the file: at
least some seconds, and a hundred times what a sound file needs. In a hostile file, pages can point
to each other so that SQLite would never finish.
"""

LONGEST = 16 * 1024 * 1024
"""The longest value allowed, in bytes, unless the file itself is larger: far below the 1 GB that an
expression in a hostile schema could have SQLite allocate for each row."""

LARGEST_INT = 2**31 - 1
"""The largest limit that SQLite can be given, by the type of the argument: 2 GB."""


def guard(connection: sqlite3.Connection, size: int) -> None:
    """Protect a connection from the schema and the pages of a file of `size` bytes, whoever made it
    (SQLite documentation, "Defense Against The Dark Arts").

    The schema may call harmless functions only, each page is validated before use, and time and
    memory are bounded. Extensions stay off, as in Python by default. Not for the connections of
    applications, whose schema may use their own functions.
    """
    if _json_is_harmless():
        connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    bound(connection, size)
    if sys.version_info >= (3, 11):  # older Pythons cannot set it; SQLite's limit is 1 GB
        longest = min(max(size, LONGEST), LARGEST_INT)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)


_BYTES = {0xDC00 + byte: 0x10F700 + byte for byte in range(0x80, 0x100)}
_LETTERS = {letter: byte for byte, letter in _BYTES.items()}
"""Python passes only valid UTF-8 to SQLite: in memory, a private-use character stands in for each
byte that is not."""


def exactly(text: bytes) -> str:
    """How text is decoded: bytes that are not UTF-8 survive."""
    return text.decode("utf-8", "surrogateescape")


class Scratch(sqlite3.Connection):
    """An in-memory database that accepts statements as they were read, even if they are not UTF-8
    or name something that only the application has (recorded in `lacks`).
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
    """Open a new, guarded in-memory database for statements from the schema of a file."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Scratch)
    connection.text_factory = _as_it_was
    guard(connection, 0)
    return connection


def trust(copy: sqlite3.Connection) -> None:
    """Let triggers of an in-memory copy write to FTS5 tables, as they may in an application. Before
    3.44, SQLite refuses that in an untrusted schema, like everything it does not know as harmless.
    """
    copy.execute("PRAGMA trusted_schema = ON")


def _as_it_was(text: bytes) -> str:
    return text.decode() if text.isascii() else exactly(text).translate(_LETTERS)


def bound(connection: sqlite3.Connection, size: int) -> None:
    """Limit the steps of `connection`'s virtual machine to the needs of a sound file of `size`."""
    looks, last = count(1), (STEPS + STEPS_PER_BYTE * size) // STEPS_BETWEEN_LOOKS
    connection.set_progress_handler(lambda: stop_asked() or next(looks) > last, STEPS_BETWEEN_LOOKS)


@cache
def _json_is_harmless() -> bool:
    """Whether this SQLite allows json_valid() in a CHECK of an untrusted schema. 3.38 to 3.40 do
    not, by mistake. There the schema stays trusted, which matters little: functions with effects
    outside the database are refused in a schema anyway, and nobody here defines others.
    """
    with closing(sqlite3.connect(":memory:")) as trial:
        trial.execute("PRAGMA trusted_schema = OFF")
        try:
            trial.execute("CREATE TABLE t (x CHECK (json_valid(x)))")
        except sqlite3.OperationalError:
            return False
        return True


def copy_of(live: Schema) -> tuple[Scratch, set[str]]:
    """An empty in-memory copy of a schema, and the folded names of what could not be created."""
    copy = scratch()
    apart: set[str] = set()
    things = (live.tables, live.indexes, live.views, live.triggers)
    for thing in (thing for kind in things for thing in kind.values()):
        # Creating a virtual table creates its shadow tables.
        if thing.sql and getattr(thing, "kind", "") != "shadow":
            try:
                _create(copy, thing)
            except sqlite3.Error:
                apart.add(fold(thing.name))
    return copy, apart


def _create(copy: Scratch, thing: Table | Index | View | Trigger) -> None:
    said = without_attached_name(thing.sql) if isinstance(thing, Trigger) else thing.sql
    copy.execute(said)
    if said != thing.sql:  # as in the file, it keeps SQLite from renaming
        copy.execute("PRAGMA writable_schema = ON")
        copy.execute(
            f"UPDATE sqlite_schema SET sql = {string(thing.sql)}"
            f" WHERE type = 'trigger' AND name = {string(thing.name)}"
        )
        copy.execute("PRAGMA writable_schema = RESET")
