"""The connections that `Database` lends: each to one block of code at a time, and each as new.

Opening one costs a thread, the settings and reading the schema: some ten times what a read by an
index costs. So they are kept and lent again, after all that a block may have left behind is undone:
a transaction, an unread result, another setting. And only so many are lent at once: SQLite has one
writer at a time and no queue (who waits for the lock looks again from time to time), so that fifty
connections that write would keep one another from the lock for seconds.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from weakref import WeakSet

import aiosqlite

from .connection import connect, settle
from .declared import declared
from .errors import AbathurError, UsageError
from .turns import Block, Turns

AT_ONCE = 4
"""How many connections are lent at once; the other blocks wait, in order."""

PATIENCE_SECONDS = 1.0
"""After so long a block gets a connection all the same: others may hold theirs while they wait for
something else than the database, such as a model."""

P = ParamSpec("P")
T = TypeVar("T")


class Lender(Protocol):
    """What `Database` needs of its connections."""

    def lend(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """A connection for one block."""

    async def close(self) -> None:
        """Close them all; a later block opens new ones."""


class Pool:
    """The connections to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns = Turns(AT_ONCE)
        self._idle: list[aiosqlite.Connection] = []
        self._keep = False
        self._unfinished = Unfinished()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[aiosqlite.Connection]:
        """A connection for one block. Raises UsageError when there is no file yet."""
        self._keep = True
        is_inside = Block.around(self) is not None
        async with self._turns.turn(0.0 if is_inside else PATIENCE_SECONDS):
            connection = self._idle.pop() if self._idle else await self._open()
            succeeded = False
            try:
                with Block(self):
                    yield connection
                succeeded = True
            except asyncio.CancelledError:
                await connection.interrupt()
                raise
            finally:
                await self._unfinished.finish(self._take_back(connection, succeeded))

    async def close(self) -> None:
        """Close those that are not lent now; the others are closed when they come back."""
        self._keep = False
        await self._unfinished.wait()
        while self._idle:
            await self._idle.pop().close()

    async def _open(self) -> aiosqlite.Connection:
        opening = self._unfinished.start(open_connection(lambda: _open_file(self._path)))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # aiosqlite loses a connection whose opening is cancelled, and its thread with it.
            self._unfinished.start(self._take_back_when_open(opening))
            raise

    async def _take_back_when_open(self, opening: "asyncio.Task[aiosqlite.Connection]") -> None:
        with suppress(sqlite3.Error, AbathurError):  # nobody waits for it any more
            await self._take_back(await opening, succeeded=True)

    async def _take_back(self, connection: aiosqlite.Connection, succeeded: bool) -> None:
        # What failed may have left more than can be undone; it is rare enough to open a new one.
        if self._keep and succeeded and await is_as_new(connection):
            self._idle.append(connection)
        else:
            await connection.close()


class Shared:
    """The one connection of a `:memory:` database, lent to one block after the other.

    A block inside a block, and one in a task that it started, gets its turn inside that block.
    """

    def __init__(self) -> None:
        self._turns = Turns(1)
        self._opening: asyncio.Task[aiosqlite.Connection] | None = None
        self._unfinished = Unfinished()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[aiosqlite.Connection]:
        """The connection, for one block. Raises sqlite3.OperationalError, as SQLite itself does for
        a file, when other blocks keep it for longer than busy_timeout.
        """
        around = Block.around(self)
        seconds = busy_timeout_seconds()
        async with (around.inside if around else self._turns).turn(seconds) as came:
            if not came:
                raise sqlite3.OperationalError(
                    f"database is locked: another block has kept the one connection of :memory: for"
                    f" {seconds:g} s. Leave blocks before waiting for something else, or use a file"
                )
            if self._opening is None:
                self._opening = self._unfinished.start(open_connection(_open_memory))
            connection = await asyncio.shield(self._opening)
            was_writing = connection.in_transaction
            block = Block(self)
            try:
                with block:
                    yield connection
            finally:
                await self._unfinished.finish(self._leave(block, connection, around, was_writing))

    async def close(self) -> None:
        """Close the connection, and with it the database is gone."""
        await self._unfinished.wait()
        opening, self._opening = self._opening, None
        if opening:
            await (await opening).close()

    async def _leave(
        self,
        block: Block,
        connection: aiosqlite.Connection,
        around: Block | None,
        was_writing: bool,
    ) -> None:
        # A task that the block started may be in a block of its own, and have begun to write.
        async with block.inside.turn(busy_timeout_seconds()):
            if not around:
                await is_as_new(connection)
            elif not was_writing:  # cursors and settings are of the block around it
                await connection.rollback()


class Unfinished:
    """Work that goes on to its end when the task that began it is cancelled."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin `work`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Begin `work` and wait for its end; when cancelled, only the waiting ends."""
        return await asyncio.shield(self.start(work))

    async def wait(self) -> None:
        """Wait for the end of all that is going on."""
        if self._tasks:
            await asyncio.wait(self._tasks)


class _Connection(sqlite3.Connection):
    """Knows its cursors: one that is not read to its end holds an old state of the database, in
    which the next block would read, and could not write.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        return self._known(super().cursor(*args, **kwargs))

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self._known(super().execute(*args))

    def _known(self, cursor: sqlite3.Cursor) -> sqlite3.Cursor:
        self.cursors.add(cursor)
        return cursor


def _open_file(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise UsageError(f"there is no database at {path}. `await initialize()` first.")
    return lendable(connect(path, "rw", _Connection))


def _open_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", factory=_Connection)
    settle(connection)
    return lendable(connection)


def lendable(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection with what applications expect: rows by name, and Python's transactions."""
    # Python's default: a transaction begins with the first write.
    connection.isolation_level = ""  # type: ignore[assignment]  # typeshed leaves the default out
    connection.row_factory = sqlite3.Row
    return connection


def _undo(connection: sqlite3.Connection) -> bool:
    if isinstance(connection, _Connection):
        for cursor in list(connection.cursors):
            cursor.close()
    connection.rollback()
    lendable(connection)
    settle(connection)
    # What is attached, and temporary tables, which live in a database of their own, would stay.
    return len(connection.execute("PRAGMA database_list").fetchall()) == 1


async def is_as_new(connection: aiosqlite.Connection) -> bool:
    """Undo what a block has left behind; whether that was possible."""
    try:
        return await in_its_thread(connection, _undo)
    except (sqlite3.Error, ValueError):  # ValueError: the block has closed it
        return False


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


def busy_timeout_seconds() -> float:
    """How long `sql/pragma.sql` lets a connection wait for a lock."""
    (milliseconds,) = (
        setting.value for setting in declared().settings if setting.name == "busy_timeout"
    )
    return int(milliseconds) / 1000
