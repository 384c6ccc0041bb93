"""aiosqlite's connection, as `Database` lends it, and reset after each block.

All work on a connection runs in its own thread, one piece after the other.
"""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

import aiosqlite

from ..declared.declaration import Settings
from ..errors import UsageError
from ..place import Address, Place
from ..storage.connection import connect, settle

P = ParamSpec("P")
T = TypeVar("T")


_SETS = re.compile(
    r"\bPRAGMA\b(?!\s+(?:\w+\.)?(?:\w+\s*(?:;|$)|(?:foreign_key_check|foreign_key_list|index_info"
    r"|index_list|index_xinfo|integrity_check|quick_check|table_info|table_list|table_xinfo)\s*\())"
    r"(?:\s+(?:\w+\.)?(\w+))?",
    re.IGNORECASE,
)
"""A PRAGMA that may change a setting of its connection, with its name where that is plain: neither
a name alone, nor one of those that only read, of a table or an index.
"""


class TrackedCursor(sqlite3.Cursor):
    """A cursor that tells its connection what it runs."""

    connection: "TrackedConnection"

    def execute(self, sql: str, *args: Any) -> Any:
        """Run a statement."""
        self.connection.note(sql)
        return super().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> Any:
        """Run a statement for each of some rows."""
        self.connection.note(sql)
        return super().executemany(sql, *args)

    def executescript(self, sql: str) -> Any:
        """Run many statements."""
        self.connection.note(sql)
        return super().executescript(sql)


class TrackedConnection(sqlite3.Connection):
    """A connection that tracks what a block leaves behind.

    Its cursors: one that was not read to its end keeps an old state of the database, which the next
    block would read and could not write (SQLite documentation, "Result and Error Codes",
    SQLITE_BUSY_SNAPSHOT). And the PRAGMAs that may have changed a setting: those of
    `sql/pragma.sql`, which many applications set in each block, can be undone; the others not
    without knowing each.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursors: WeakSet[sqlite3.Cursor] = WeakSet()
        self.changed: set[str] = set()

    def note(self, sql: str) -> None:
        """Look at a statement before it runs; this is on the way of every statement."""
        if isinstance(sql, str) and "pragma" in sql.lower():
            self.changed.update(name.lower() for name in _SETS.findall(sql))

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Create a cursor, tracked as long as it exists."""
        cursor = super().cursor(*(args or (TrackedCursor,)), **kwargs)
        self.cursors.add(cursor)
        return cursor

    def execute(self, *args: Any) -> Any:
        """Run a statement, on a cursor that is tracked as well."""
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        """Run a statement for each of some rows."""
        return self.cursor().executemany(*args)

    def executescript(self, *args: Any) -> Any:
        """Run many statements."""
        return self.cursor().executescript(*args)


def open_file(path: Place, settings: Settings) -> sqlite3.Connection:
    """Open a file or a cluster for lending. Raises UsageError when there is no such file."""
    if isinstance(path, Address):
        from ..storage.cluster import open_cluster  # only who has one pays for this import

        return lendable(open_cluster(path, "weak"))
    if not path.exists():
        raise UsageError(f"there is no database at {path}. `await initialize()` first.")
    return lendable(connect(path, "rw", settings, TrackedConnection))


def open_memory(settings: Settings) -> sqlite3.Connection:
    """Open a new in-memory database for lending."""
    connection = sqlite3.connect(":memory:", factory=TrackedConnection)
    settle(connection, settings)
    return lendable(connection)


def lendable(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection as applications expect it: rows by name, Python's default transactions; what
    it has been set to so far is not their change.
    """
    # Python's default: a transaction begins with the first write.
    connection.isolation_level = ""  # type: ignore[assignment]  # typeshed omits the default
    connection.row_factory = sqlite3.Row
    connection.text_factory = str
    if isinstance(connection, TrackedConnection):
        connection.changed.clear()
    return connection


def _undo(connection: sqlite3.Connection, settings: Settings) -> bool:
    tracked = connection if isinstance(connection, TrackedConnection) else None
    for cursor in list(tracked.cursors) if tracked else ():
        cursor.close()
    connection.rollback()
    changed = tracked.changed - {one.name for one in settings} if tracked else ()
    if not tracked or tracked.changed:  # that of a cluster does not tell
        settle(connection, settings)
    lendable(connection)
    # Attached databases, and temporary tables, which live in one, would survive.
    (databases,) = connection.execute("SELECT count(*) FROM pragma_database_list").fetchone()
    return bool(databases == 1) and not changed


def begin_to_write(connection: sqlite3.Connection) -> None:
    """Begin a transaction that writes: on a file it has the lock from now on, on a cluster its
    writes are sent when it is committed.
    """
    begin = getattr(connection, "begin", None)
    if begin:
        begin()
    else:
        connection.execute("BEGIN IMMEDIATE")


async def is_as_new(connection: aiosqlite.Connection, settings: Settings) -> bool:
    """Undo what a block has left behind; returns whether that was possible."""
    try:
        return await in_its_thread(connection, _undo, settings)
    except (sqlite3.Error, ValueError):  # ValueError: closed by the block
        return False


async def interrupt(connection: aiosqlite.Connection) -> None:
    """Interrupt the running statement, if any; this does not end waiting for a lock."""
    with suppress(ValueError):  # closed by the block
        await connection.interrupt()


async def open_connection(connector: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
    """Call `connector` in the thread that will run all work on the connection.

    The thread does not keep alive a program that forgot to close the database.
    """
    connection = aiosqlite.Connection(connector, iter_chunk_size=64)
    # Up to aiosqlite 0.21 the connection is a thread, from 0.22 on it has one.
    thread: Thread = vars(connection).get("_thread", connection)
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        # The thread reports its end to the event loop, and nobody waits for that.
        await asyncio.to_thread(thread.join)
        raise


async def in_its_thread(
    connection: aiosqlite.Connection,
    function: "Callable[Concatenate[sqlite3.Connection, P], T]",
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run `function` on the sqlite3 connection, after everything queued before.

    The only use of undocumented aiosqlite: its other methods go through `_execute` as well.
    """
    execute: Callable[..., Awaitable[T]] = connection._execute
    return await execute(function, connection._conn, *args, **kwargs)
