"""The connections that `Database` lends: each to one block of code at a time, and reset for it.

Opening one costs a thread, the settings and reading the schema: about ten times an indexed read. So
connections are kept and lent again, after undoing whatever a block may have left behind: a
transaction, an unread result, another setting. Their number is limited: SQLite has one writer at a
time and no queue (waiting connections poll the lock, see `sqliteDefaultBusyCallback` in its
source), so fifty writing connections would keep each other from the lock for seconds.
"""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiosqlite

from ..declared.declaration import Settings
from ..errors import AbathurError, UsageError
from ..place import Address, Place
from .connection import interrupt, is_as_new, open_connection, open_file, open_memory
from .turns import Block, Turns

IN_MEMORY = ":memory:"

AT_ONCE, AT_ONCE_ON_A_CLUSTER = 4, 64
"""How many connections are lent at once; other blocks wait, in order."""

PATIENCE_SECONDS = 1.0
"""The seconds after which a block gets a connection anyway if no other was given back meanwhile:
the others may wait for something other than the database, such as a model."""

Identity = tuple[int, int] | None
"""The identity of a file, whatever its name: device and inode; None if there is none."""

T = TypeVar("T")


class Lender(Protocol):
    """What `Database` requires of its source of connections."""

    def lend(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """A connection for one block."""

    async def close(self) -> None:
        """Close all connections; a later block opens new ones."""


class Pool:
    """The connections to one file, or to one cluster."""

    def __init__(self, path: Place, settings: Settings, at_once: int = AT_ONCE) -> None:
        self._path = path
        self._settings = settings
        self._at_once = at_once
        self._turns = Turns(at_once)
        self._idle: list[tuple[aiosqlite.Connection, Identity]] = []
        self._keep = False
        self._unfinished = Unfinished()
        self._process = OneProcess()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[aiosqlite.Connection]:
        """A connection for one block. Raises UsageError when there is no file yet, and in a process
        that was forked from the one that has the connections.
        """
        self._process.enter()
        self._keep = True
        # The block around may be waiting for this one.
        is_inside = Block.around(self) is not None
        async with nullcontext() if is_inside else self._turns.turn(PATIENCE_SECONDS):
            file = identity(self._path)
            connection = await self._idle_one(file) or await self._open(file)
            succeeded = False
            try:
                with Block(self):
                    yield connection
                succeeded = True
            except BaseException:  # a statement may run on: of a timeout, or of another task
                await interrupt(connection)
                raise
            finally:
                await self._unfinished.finish(self._take_back(connection, file, succeeded))

    async def close(self) -> None:
        """Close the connections that are not lent; the others when they are returned."""
        if self._process.is_another():
            return
        self._keep = False
        await self._unfinished.wait()
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()
        self._process.leave()

    async def _idle_one(self, file: Identity) -> aiosqlite.Connection | None:
        while self._idle:
            connection, opened = self._idle.pop()
            if opened == file:
                return connection
            # The file was replaced, and what is written to the old one would be lost.
            await self._unfinished.finish(connection.close())
        return None

    async def _open(self, file: Identity) -> aiosqlite.Connection:
        opening = self._unfinished.start(
            open_connection(lambda: open_file(self._path, self._settings))
        )
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # When opening is cancelled, aiosqlite loses the connection and its thread.
            self._unfinished.start(self._take_back_when_open(opening, file))
            raise

    async def _take_back_when_open(
        self, opening: "asyncio.Task[aiosqlite.Connection]", file: Identity
    ) -> None:
        with suppress(sqlite3.Error, AbathurError):  # nobody is waiting for it any more
            await self._take_back(await opening, file, succeeded=True)

    async def _take_back(
        self, connection: aiosqlite.Connection, file: Identity, succeeded: bool
    ) -> None:
        # Also before it is closed: with a cursor alive, as in the trace of an error, SQLite would
        # defer that, and keep the lock (its documentation of sqlite3_close_v2, "zombie").
        is_undone = await is_as_new(connection, self._settings)
        # A failure may have left more than can be undone; it is rare enough to open a new one.
        if is_undone and succeeded and self._keep and len(self._idle) < self._at_once:
            self._idle.append((connection, file))
        else:
            await connection.close()


class Shared:
    """The only connection of a `:memory:` database, lent to one block after the other.

    A block inside a block, or in a task started by one, gets its turn inside that block.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = Turns(1)
        self._opening: asyncio.Task[aiosqlite.Connection] | None = None
        self._in_use = self._ends = False
        self._unfinished = Unfinished()
        self._process = OneProcess()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[aiosqlite.Connection]:
        """The connection, for one block. Raises sqlite3.OperationalError, as SQLite itself does for
        a file, if another block keeps it for longer than busy_timeout.
        """
        self._process.enter()
        around = Block.around(self)
        seconds = busy_timeout_seconds(self._settings)
        async with (around.inside if around else self._turns).turn(seconds) as came:
            if not came:
                raise sqlite3.OperationalError(
                    f"database is locked: another block has kept the one connection of :memory: for"
                    f" {seconds:g} s. Leave blocks before waiting for something else, or use a file"
                )
            if self._opening is None:
                self._opening = self._unfinished.start(
                    open_connection(lambda: open_memory(self._settings))
                )
            connection = await asyncio.shield(self._opening)
            self._in_use = True
            was_writing = connection.in_transaction
            block = Block(self)
            try:
                with block:
                    yield connection
            except BaseException:
                if not around:  # else the running statement may belong to the outer block
                    await interrupt(connection)
                raise
            finally:
                await self._unfinished.finish(self._leave(block, connection, around, was_writing))

    async def close(self) -> None:
        """Close the connection, when it is returned if it is lent; this deletes the database."""
        if self._process.is_another():
            return
        await self._unfinished.wait()
        if self._in_use:
            self._ends = True
        else:
            await self._end()

    async def _end(self) -> None:
        opening, self._opening, self._ends = self._opening, None, False
        if opening:
            await (await opening).close()
        self._process.leave()

    async def _leave(
        self,
        block: Block,
        connection: aiosqlite.Connection,
        around: Block | None,
        was_writing: bool,
    ) -> None:
        # A task started by the block may be in a block itself, and may have begun to write.
        async with block.inside.turn(busy_timeout_seconds(self._settings)):
            if not around:
                await is_as_new(connection, self._settings)
                self._in_use = False
                if self._ends:
                    await self._end()
            elif not was_writing:  # cursors and settings belong to the outer block
                await connection.rollback()


def lender_of(place: Place, settings: Settings) -> tuple[Lender, Turns]:
    """Where the connections to a database come from, and the turns of those that write."""
    if isinstance(place, Address):
        return Pool(place, settings, AT_ONCE_ON_A_CLUSTER), Turns(sys.maxsize)  # it orders them
    if place == Path(IN_MEMORY):
        return Shared(settings), Turns(sys.maxsize)  # the only connection orders them already
    return Pool(place, settings), Turns(1)


class OneProcess:
    """The process that has the connections. One that is forked from it has neither their threads
    nor their locks, and may not even close them (SQLite documentation, "How To Corrupt An SQLite
    Database File", section "Carrying an open database connection across a fork()").
    """

    def __init__(self) -> None:
        self._number: int | None = None

    def is_another(self) -> bool:
        """Whether another process has the connections."""
        return self._number not in (None, os.getpid())

    def enter(self) -> None:
        """Raise UsageError when another process has the connections; otherwise this one has."""
        if self.is_another():
            raise UsageError(
                "this Database has connections of the process from which this one was forked. Make"
                " one Database in each process, or close it before the fork."
            )
        self._number = os.getpid()

    def leave(self) -> None:
        """No process has connections any more."""
        self._number = None


class Unfinished:
    """Work that is completed even if the task that began it is cancelled."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin `work`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # else asyncio prints it where who began the work was cancelled

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Begin `work` and wait for it; cancelling ends only the waiting."""
        return await asyncio.shield(self.start(work))

    async def wait(self) -> None:
        """Wait for all work in progress."""
        if self._tasks:
            await asyncio.wait(self._tasks)


def identity(path: Place) -> Identity:
    """What tells a file from another one at its path; None if there is none. Of a cluster it stays
    the same.
    """
    if isinstance(path, Address):
        return 0, 0
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def busy_timeout_seconds(settings: Settings) -> float:
    """How long `sql/pragma.sql` lets a connection wait for a lock, in seconds."""
    (milliseconds,) = (one.value for one in settings if one.name == "busy_timeout")
    return int(milliseconds) / 1000
