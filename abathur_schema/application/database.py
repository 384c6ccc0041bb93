"""The database for asynchronous applications: created by the same steps, open to extension."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import aiosqlite

from ..declared.declaration import SEARCH
from ..errors import NoQueryError, UsageError
from ..place import Address, Place, address
from ..progress import Progress
from ..proof.findings import Check
from ..proof.verification import verify
from ..schema.text import no_query
from ..steps import preflight
from ..steps.preflight import read_declared
from ..storage import litestream
from ..storage.foreign_keys import without_parent
from .connection import begin_to_write, in_its_thread, open_connection
from .initialization import Initialization
from .pool import IN_MEMORY, Unfinished, busy_timeout_seconds, identity, lender_of
from .queries import Query, bundled_declaration, find, queries, queries_of
from .remembering import Remembering
from .searching import Searching
from .turns import Block, Turns

D = TypeVar("D", bound="Database")


class Database(Remembering, Searching):
    """The database of an agent swarm, in a file or in `:memory:`.

    Use it as it is or derive from it: override one of the four parts of `initialize`, or add to it
    before or after `super()`. All methods of one object belong to one event loop. As an `async
    with` context it is initialized and closed.
    """

    def __init__(
        self,
        path: str | Path,
        reports: str | Path | None = None,
        schema: str | Path | None = None,
        *,
        search: bool = False,
    ) -> None:
        """`path` is the file, `:memory:`, or the nodes of an rqlite cluster
        (`rqlite://host:port,host:port`, where a transaction reads first and writes when it is
        committed); nothing is opened yet. When a step of `initialize`
        fails, its report and the state go to the folder `reports`, by default one of that name
        beside the file, because the working directory of an application may be anywhere. `schema`
        is the folder of a schema of one's own, declared on top of ours. With `search`, `initialize`
        also makes the full-text search, as `invoke search` does; a database that has it keeps it.

        Raises UsageError when a declaration cannot be read, or this SQLite lacks FTS5 for `search`.
        """
        super().__init__()
        own = schema or search
        self._declared = read_declared(schema, search=search) if own else bundled_declaration()
        self.place: Place = address(str(path)) or _expanded(path)
        self._reports = _expanded(reports).absolute() if reports else None
        if str(path) == IN_MEMORY:
            self._reports = None  # it has nothing to keep
        elif isinstance(self.place, Path):
            self.place = file = self.place.absolute()
            self._declared = litestream.beside(file, self._declared)
            self._reports = self._reports or file.parent / "reports"
        self._settings = self._declared.settings
        self._lender, self._writers = lender_of(self.place, self._settings)
        self._patience = busy_timeout_seconds(self._settings)
        self._initializations = Turns(1)
        self._begun: Initialization | None = None
        self._unfinished = Unfinished()

    @cached_property  # not a property, so that another base may have its own
    def path(self) -> Path:
        """The file. Raises UsageError for a cluster, which has none: it is at `place`."""
        if isinstance(self.place, Address):
            raise UsageError(f"{self.place} has no path. Use `place`.")
        return self.place

    async def initialize(self) -> None:
        """Bring the schema up to date as `invoke init` does: by the steps of `sql/`, in order, one
        transaction each; what is up to date stays as it is. Creates the folder and the file.

        May be called by many tasks and processes at once, and repeatedly: with nothing to do it
        takes some milliseconds and no lock. Each step proves that its objects are as declared; the
        checks of `verify` read the whole database and are not run at every start.

        Raises UsageError when nothing could be touched, and InitializationError when a step fails:
        the step is rolled back, and the state and a report are kept.
        """
        await self._unfinished.finish(self._initialize())

    async def _initialize(self) -> None:
        async with self._initializations.turn():
            if self._reports is None or isinstance(self.place, Address):
                declared = self._declared
                if isinstance(self.place, Address):
                    look = preflight.check_database
                    seen = await asyncio.to_thread(look, "init", self.place, declared)
                    declared = declared.chosen(seen.schema) if seen else declared
                async with self._get_connection() as conn:
                    await self._make(Initialization(self.place, self._reports, declared), conn)
                return
            paths = str(self.place), str(self._reports), self._declared
            database, reports = await asyncio.to_thread(preflight.check_paths, "init", *paths)
            look = preflight.check_database
            seen = await asyncio.to_thread(look, "init", database, self._declared)
            declared = self._declared.chosen(seen.schema) if seen else self._declared
            begun = Initialization(database, reports, declared)
            conn = await open_connection(begun.open)
            try:
                await self._make(begun, conn)
            finally:
                await conn.close()
            await asyncio.to_thread(begun.finish)

    async def _make(self, begun: Initialization, conn: aiosqlite.Connection) -> None:
        self._begun = begun
        try:
            for part in (
                self._create_core_tables,
                self._create_core_indexes,
                self._create_memory_tables,
                self._create_memory_indexes,
                *([self._create_search] if SEARCH in begun.declared.steps else []),
            ):
                await part(conn)
                await conn.commit()  # rows added by the overriding method
        finally:
            self._begun = None

    # The parts of `initialize`, for a subclass to override or extend. Each receives the connection
    # on which the steps run, outside a transaction; what it leaves open is committed.

    async def _create_core_tables(self, conn: aiosqlite.Connection) -> None:
        """The step `core`: `sql/core.sql`, preceded by the tables that it references."""
        await self._step("core", conn)

    async def _create_core_indexes(self, conn: aiosqlite.Connection) -> None:
        """The step `core-indexes`: `sql/core-indexes.sql`."""
        await self._step("core-indexes", conn)

    async def _create_memory_tables(self, conn: aiosqlite.Connection) -> None:
        """The step `memory`: `sql/memory.sql`."""
        await self._step("memory", conn)

    async def _create_memory_indexes(self, conn: aiosqlite.Connection) -> None:
        """The step `memory-indexes`: `sql/memory-indexes.sql`."""
        await self._step("memory-indexes", conn)

    async def _create_search(self, conn: aiosqlite.Connection) -> None:
        """The optional step `search`: `sql/search.sql`, only for a database that has it."""
        await self._step(SEARCH, conn)

    async def _step(self, name: str, conn: aiosqlite.Connection) -> None:
        begun = self._begun or Initialization(self.place, self._reports, self._declared)
        await in_its_thread(conn, begun.do, name)

    def _file(self) -> object:
        return identity(self.place)

    def connection(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """A connection for the block, with rows by name, the settings of `sql/pragma.sql` and
        Python's default transactions: the first write begins one, and leaving the block without
        `commit()`, or with an error, rolls it back. Nobody else uses it until the block ends.

        Connections to a file are pooled, and reset for each block. `:memory:` has only one, and
        blocks take turns. A block inside another does not wait for it: with a file it gets a second
        connection, in memory the same one, in the same transaction.

        Raises UsageError when the file does not exist yet.
        """
        return self._get_connection()

    def _get_connection(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """An alias of `connection()`, used by services of older applications."""
        return self._lender.lend()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """A connection in a transaction that may write from the start; committed when the block
        ends, rolled back when it fails. For whatever reads, and writes depending on what it read.

        The transactions of one object queue in order, however many they are; the first then waits
        for other processes for at most busy_timeout. Raises UsageError inside another one of the
        same task, which would deadlock.
        """
        around = Block.around(self._writers)
        if around and around.task is asyncio.current_task():
            raise UsageError("this is in a transaction already. Use its connection.")
        async with self._writers.turn(self._patience), self._get_connection() as conn:
            await in_its_thread(conn, begin_to_write)
            with Block(self._writers):
                yield conn
            await conn.commit()

    async def fetch(self, name: str, /, **values: Any) -> list[aiosqlite.Row]:
        """All rows of the query in `checks/plans/NAME.sql`, given a value for each parameter.

        Raises UsageError when there is no such query, or when its parameters differ.
        """
        named = find(name, self._queries)
        named.check(values)
        async with self._get_connection() as conn:
            return list(await conn.execute_fetchall(named.sql, values))

    @cached_property
    def _queries(self) -> Mapping[str, Query]:
        return queries_of(self._declared) if self._declared.own else queries()

    async def verify(self) -> list[Check]:
        """Run all checks of `invoke verify`; those with the status `fail` found something wrong.

        Reads the whole file, which may take long. Raises UsageError for an in-memory database, and
        sqlite3.OperationalError when the file is locked or may not be opened.
        """
        if self.place == Path(IN_MEMORY):
            raise UsageError("a database in memory cannot be verified. Use a file.")
        proof = await asyncio.to_thread(verify, self.place, self._declared, Progress(None))
        return proof.checks

    async def validate_foreign_keys(self) -> list[tuple[Any, ...]]:
        """The rows of `PRAGMA foreign_key_check`, none if all is well: table, rowid (None in a
        table WITHOUT ROWID), parent table, and the number of the foreign key in `PRAGMA
        foreign_key_list` of the table (None, as its rowid, for a table with a foreign key that
        SQLite cannot check, because the parent's columns do not exist or are not unique).
        """
        async with self._get_connection() as conn:
            return await in_its_thread(conn, without_parent)

    async def explain_query_plan(
        self, query: str, params: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[str]:
        """SQLite's plan for one query, which is not run: one line for each item, such as
        `SEARCH tasks USING INDEX idx_tasks_parent (parent_task_id=?)`. `params` are its
        parameters, by position or name.

        Raises NoQueryError unless it is one SELECT, VALUES, or WITH that ends in one of these, and
        sqlite3.Error if SQLite cannot parse it.
        """
        if reason := no_query(query):
            raise NoQueryError(f"{reason}. Give one query: SELECT, VALUES or WITH ... SELECT.")
        async with self._get_connection() as conn:
            rows = await conn.execute_fetchall(f"EXPLAIN QUERY PLAN {query}", params)
            return [row[3] for row in rows]

    async def get_index_usage(self) -> dict[str, Any]:
        """`index_count`, and `indexes` with the `name` and `table` of each, without those that
        SQLite creates for a UNIQUE or PRIMARY KEY.
        """
        async with self._get_connection() as conn:
            rows = await conn.execute_fetchall(
                "SELECT name, tbl_name FROM sqlite_schema"
                " WHERE type = 'index' AND sql IS NOT NULL ORDER BY tbl_name, name"
            )
            indexes = [{"name": name, "table": table} for name, table in rows]
        return {"index_count": len(indexes), "indexes": indexes}

    async def close(self) -> None:
        """Close all connections, those in use when they are returned. This deletes an in-memory
        database; a file can be used again.
        """
        await self._unfinished.wait()
        await self._lender.close()
        self._keep_nothing()

    async def __aenter__(self: D) -> D:
        try:
            await self.initialize()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _expanded(path: str | Path) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - keeps ~nobody as it is
