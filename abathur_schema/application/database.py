"""The database for asynchronous applications: made by the same steps, and theirs to extend."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import aiosqlite

from ..errors import NoQueryError, UsageError
from ..progress import Progress
from ..proof.findings import Check
from ..proof.verification import verify
from ..schema.text import no_query
from ..steps import preflight
from ..steps.preflight import read_declared
from .connection import in_its_thread, open_connection
from .initialization import Initialization
from .pool import Lender, Pool, Shared, Unfinished, busy_timeout_seconds
from .queries import Query, bundled_declaration, find, queries, queries_of
from .turns import Block, Turns

IN_MEMORY = ":memory:"

D = TypeVar("D", bound="Database")


class Database:
    """The database of an agent swarm, in a file or in `:memory:`.

    To be used as it is, or to be extended: a class that derives from it overrides one of the four
    parts of `initialize`, or adds to it before or after `super()`. All methods of one object belong
    to one event loop. As `async with`, it is initialized and closed.
    """

    def __init__(
        self,
        path: str | Path,
        reports: str | Path | None = None,
        schema: str | Path | None = None,
    ) -> None:
        """`path` is the file, or `:memory:`; nothing is opened yet. When a step of `initialize`
        fails, the report and the state go to the folder `reports`: by default one of that name
        beside the file, because the working directory of an application may be anywhere. `schema`
        is the folder of a schema of one's own, declared on top of ours.

        Raises UsageError when what is declared cannot be read.
        """
        self._declared = read_declared(schema) if schema else bundled_declaration()
        settings = self._declared.settings
        self._lender: Lender
        self._reports: Path | None = None  # in memory there is nothing to keep
        if str(path) == IN_MEMORY:
            self.path = Path(IN_MEMORY)
            self._lender = Shared(settings)
            self._writers = Turns(sys.maxsize)  # they take turns at the connection already
        else:
            self.path = Path(path).expanduser().absolute()
            self._lender = Pool(self.path, settings)
            self._writers = Turns(1)
            self._reports = Path(reports or self.path.parent / "reports").expanduser().absolute()
        self._patience = busy_timeout_seconds(settings)
        self._initializations = Turns(1)
        self._begun: Initialization | None = None
        self._unfinished = Unfinished()

    async def initialize(self) -> None:
        """Bring the schema up as `invoke init` does: by the steps of `sql/`, in order, each one
        transaction; what is there already stays as it is. Makes the folder and the file.

        Can be called by many tasks and processes at once, and again at any time: what has nothing
        to do takes some milliseconds and no lock. Each step proves that what it makes is as
        declared; the checks of `verify` read the whole database and are not run at every start.

        Raises UsageError when nothing could be touched, and InitializationError when a step fails:
        that step is undone, and the state and a report are kept.
        """
        await self._unfinished.finish(self._initialize())

    async def _initialize(self) -> None:
        async with self._initializations.turn():
            if self._reports is None:
                async with self._get_connection() as conn:
                    await self._make(Initialization(self.path, None, self._declared), conn)
                return
            paths = str(self.path), str(self._reports)
            database, reports = await asyncio.to_thread(preflight.check_paths, "init", *paths)
            await asyncio.to_thread(preflight.check_database, "init", database, self._declared)
            begun = Initialization(database, reports, self._declared)
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
            ):
                await part(conn)
                await conn.commit()  # the rows that a host's own part has added
        finally:
            self._begun = None

    # The parts of `initialize`, for a host to override or to extend. Each is given the connection
    # on which the steps run, outside of a transaction; what it leaves open is committed.

    async def _create_core_tables(self, conn: aiosqlite.Connection) -> None:
        """The step `core`: `sql/core.sql`, and first the tables that those reference."""
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

    async def _step(self, name: str, conn: aiosqlite.Connection) -> None:
        begun = self._begun or Initialization(self.path, self._reports, self._declared)
        await in_its_thread(conn, begun.do, name)

    def connection(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """A connection for the block, with rows by name, the settings of `sql/pragma.sql` and
        Python's default transactions: the first write begins one, and leaving the block without
        `commit()` undoes it, as an error does. It is nobody else's until the block ends.

        Of a file, some are kept open and lent again; a block gets one as new. In `:memory:` there
        is only one, and blocks take turns. A block inside a block does not wait for the one around
        it: of a file it has another connection, in memory the same, in the same transaction.

        Raises UsageError when there is no file yet.
        """
        return self._get_connection()

    def _get_connection(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """The same as `connection()`, under the name that services of older applications use."""
        return self._lender.lend()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """A connection in a transaction that may write from its start; committed when the block
        ends, undone when it fails. For whatever reads and then writes what follows from it.

        The transactions of one object wait for one another in order, and then for other processes
        as long as busy_timeout says. Raises UsageError inside another one of the same task, which
        would wait for itself.
        """
        around = Block.around(self._writers)
        if around and around.task is asyncio.current_task():
            raise UsageError("this is in a transaction already. Use its connection.")
        async with self._writers.turn(self._patience), self._get_connection() as conn:
            await conn.execute("BEGIN IMMEDIATE")
            with Block(self._writers):
                yield conn
            await conn.commit()

    async def fetch(self, name: str, **values: Any) -> list[aiosqlite.Row]:
        """All rows of the query in `checks/plans/NAME.sql`, with a value for each parameter.

        Raises UsageError when there is no such query, or when it takes other parameters.
        """
        named = find(name, self._queries)
        named.check(values)
        async with self._get_connection() as conn:
            return list(await conn.execute_fetchall(named.sql, values))

    @cached_property
    def _queries(self) -> Mapping[str, Query]:
        return queries_of(self._declared) if self._declared.own else queries()

    async def verify(self) -> list[Check]:
        """All checks of `invoke verify`; those with the status `fail` found something wrong.

        It reads the whole file, which may take long. Raises UsageError for a database in memory,
        and sqlite3.OperationalError when the file is locked or may not be opened.
        """
        if self._reports is None:
            raise UsageError("a database in memory cannot be verified. Use a file.")
        checks, _ = await asyncio.to_thread(verify, self.path, self._declared, Progress(None))
        return checks

    async def validate_foreign_keys(self) -> list[tuple[Any, ...]]:
        """The rows of `PRAGMA foreign_key_check`, none when all is well: table, rowid (None in a
        table WITHOUT ROWID), table that is referenced, and number of the foreign key in
        `PRAGMA foreign_key_list` of the table.
        """
        async with self._get_connection() as conn:
            rows = await conn.execute_fetchall("PRAGMA foreign_key_check")
            return [tuple(row) for row in rows]

    async def explain_query_plan(
        self, query: str, params: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[str]:
        """The plan that SQLite makes for one query, which does not run: a line an item, such as
        `SEARCH tasks USING INDEX idx_tasks_parent (parent_task_id=?)`. `params` are its
        parameters, by place or by name.

        Raises NoQueryError for all but one SELECT, VALUES, or WITH that ends in one of these, and
        sqlite3.Error for one that SQLite does not understand.
        """
        if reason := no_query(query):
            raise NoQueryError(f"{reason}. Give one query: SELECT, VALUES or WITH ... SELECT.")
        async with self._get_connection() as conn:
            rows = await conn.execute_fetchall(f"EXPLAIN QUERY PLAN {query}", params)
            return [row[3] for row in rows]

    async def get_index_usage(self) -> dict[str, Any]:
        """`index_count`, and `indexes`: a `name` and a `table` for each, without those that SQLite
        itself makes for a UNIQUE or a PRIMARY KEY.
        """
        async with self._get_connection() as conn:
            rows = await conn.execute_fetchall(
                "SELECT name, tbl_name FROM sqlite_schema"
                " WHERE type = 'index' AND sql IS NOT NULL ORDER BY tbl_name, name"
            )
            indexes = [{"name": name, "table": table} for name, table in rows]
        return {"index_count": len(indexes), "indexes": indexes}

    async def close(self) -> None:
        """Close all connections; those that are lent, when they come back. A database in memory is
        gone then; a file can be used again.
        """
        await self._unfinished.wait()
        await self._lender.close()

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
