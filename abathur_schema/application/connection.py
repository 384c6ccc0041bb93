"""aiosqlite's connection: opened as `Database` lends it, and made as new after each block.

All work on one runs in the thread that it has, one piece after the other.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

import aiosqlite

from ..declared.declaration import Settings
from ..errors import UsageError
from ..storage.connection import connect, settle

P = ParamSpec("P")
T = TypeVar("T")


class TrackedConnection(sqlite3.Connection):
    """Knows its cursors: one that is not read to its end holds an old state of the database, in
    which the next block would read, and could not write (SQLite documentation, "Result and Error
    Codes", SQLITE_BUSY_SNAPSHOT).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A cursor, remembered as long as it is there."""
        return self._known(super().cursor(*args, **kwargs))

    def execute(self, *args: Any) -> sqlite3.Cursor:
        """Run a statement; its cursor is remembered too."""
        return self._known(super().execute(*args))

    def _known(self, cursor: sqlite3.Cursor) -> sqlite3.Cursor:
        self.cursors.add(cursor)
        return cursor


def open_file(path: Path, settings: Settings) -> sqlite3.Connection:
    """A connection to a file, to be lent. Raises UsageError when there is none."""
    if not path.exists():
        raise UsageError(f"there is no database at {path}. `await initialize()` first.")
    return lendable(connect(path, "rw", settings, TrackedConnection))


def open_memory(settings: Settings) -> sqlite3.Connection:
    """A new database in memory, to be lent."""
    connection = sqlite3.connect(":memory:", factory=TrackedConnection)
    settle(connection, settings)
    return lendable(connection)


def lendable(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection with what applications expect: rows by name, and Python's transactions."""
    # Python's default: a transaction begins with the first write.
    connection.isolation_level = ""  # type: ignore[assignment]  # typeshed leaves the default out
    connection.row_factory = sqlite3.Row
    connection.text_factory = str
    return connection


def _undo(connection: sqlite3.Connection, settings: Settings) -> bool:
    if isinstance(connection, TrackedConnection):
        for cursor in list(connection.cursors):
            cursor.close()
    connection.rollback()
    lendable(connection)
    settle(connection, settings)
    # What is attached, and temporary tables, which live in a database of their own, would stay.
    (databases,) = connection.execute("SELECT count(*) FROM pragma_database_list").fetchone()
    return bool(databases == 1)


async def is_as_new(connection: aiosqlite.Connection, settings: Settings) -> bool:
    """Undo what a block has left behind; whether that was possible."""
    try:
        return await in_its_thread(connection, _undo, settings)
    except (sqlite3.Error, ValueError):  # ValueError: the block has closed it
        return False


async def interrupt(connection: aiosqlite.Connection) -> None:
    """Stop the statement that runs, if any; waiting for a lock is not stopped."""
    with suppress(ValueError):  # the block has closed it
        await connection.interrupt()


async def open_connection(connector: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
    """Open with `connector` in the thread in which all work on the connection will run.

    The thread does not keep a program from ending that forgot to close the database.
    """
    connection = aiosqlite.Connection(connector, iter_chunk_size=64)
    # Up to 0.21 the connection is a thread itself, from 0.22 it has one.
    thread: Thread = vars(connection).get("_thread", connection)
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        # The thread tells its end to the event loop, and nobody waits for that.
        await asyncio.to_thread(thread.join)
        raise


async def in_its_thread(
    connection: aiosqlite.Connection,
    function: "Callable[Concatenate[sqlite3.Connection, P], T]",
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run `function` on the sqlite3 connection, after all that was asked of it before.

    The one place that needs more of aiosqlite than it documents: its other methods pass through
    `_execute` too.
    """
    execute: Callable[..., Awaitable[T]] = connection._execute
    return await execute(function, connection._conn, *args, **kwargs)
