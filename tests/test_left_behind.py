"""The async `Database`: what a block leaves on its connection, the next one does not meet."""

import asyncio
import sqlite3

import aiosqlite
import pytest

from abathur_schema import Database
from abathur_schema.application.connection import in_its_thread
from abathur_schema.declared.declaration import declared
from abathur_schema.storage.connection import unsettled
from tests.support.inserts import TASK, count


async def test_settings_of_every_connection_read_back(db: Database) -> None:
    async def check() -> None:
        async with db.connection() as conn:
            assert await in_its_thread(conn, unsettled, declared().settings) == []
            await asyncio.sleep(0.01)
            assert conn.row_factory is aiosqlite.Row
            assert conn.isolation_level == ""

    for _ in range(2):
        await asyncio.gather(*(check() for _ in range(20)))


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA foreign_keys = OFF",
        "PRAGMA busy_timeout = 1",
        "PRAGMA synchronous = OFF",
        "CREATE TEMP TABLE t (x)",
        "ATTACH ':memory:' AS other",
        "BEGIN",
        "BEGIN EXCLUSIVE",
    ],
)
async def test_next_block_meets_nothing_of_the_one_before(file_db: Database, change: str) -> None:
    async with file_db.connection() as conn:
        await conn.execute(change)
        conn.row_factory = None
        conn.isolation_level = "IMMEDIATE"
    async with file_db.connection() as conn:
        assert await in_its_thread(conn, unsettled, declared().settings) == []
        assert len(list(await conn.execute_fetchall("PRAGMA database_list"))) == 1
        assert not conn.in_transaction
        assert (conn.row_factory, conn.isolation_level) == (aiosqlite.Row, "")


SETTINGS = {
    "query_only": "PRAGMA query_only = ON",
    "writable_schema": " pragma\nwritable_schema(1)",
    "ignore_check_constraints": "/* once */ PRAGMA ignore_check_constraints = ON",
    "locking_mode": "PRAGMA locking_mode = EXCLUSIVE;",
    "recursive_triggers": "EXPLAIN SELECT 1; PRAGMA recursive_triggers = ON",
    "max_page_count": 'PRAGMA "max_page_count" = 9999',
    "cache_size": "PRAGMA cache_size = 7",
    "temp_store": "PRAGMA temp_store -- in memory\n = 2",
}


@pytest.mark.parametrize("way", ["execute", "executescript", "cursor", "script of a cursor"])
@pytest.mark.parametrize("setting", SETTINGS)
async def test_setting_of_one_block_is_not_that_of_the_next(
    file_db: Database, setting: str, way: str
) -> None:
    async def value() -> object:
        async with file_db.connection() as conn:
            ((found,),) = await conn.execute_fetchall(f"PRAGMA {setting}")
            return found

    before, statement = await value(), SETTINGS[setting]
    if statement.startswith("EXPLAIN") and "script" not in way:
        statement = statement.partition(";")[2]
    async with file_db.connection() as conn:
        cursor = await conn.execute("SELECT 1") if "cursor" in way else conn
        await (cursor.executescript if "script" in way else cursor.execute)(statement)
    assert await value() == before
    assert (await file_db.remember("user:a", "k", 1)).version == 1


@pytest.mark.parametrize(
    ("statement", "is_kept"),
    [
        ("PRAGMA foreign_keys", True),
        ("PRAGMA main.user_version;", True),
        ("PRAGMA table_info(tasks)", True),
        ("SELECT * FROM pragma_table_info('tasks')", True),
        ("SELECT ';PRAGMA query_only = OFF'", False),
    ],
)
async def test_connection_that_was_only_asked_is_kept(
    file_db: Database, statement: str, is_kept: bool
) -> None:
    async with file_db.connection() as conn:
        raw = conn._conn
        await conn.execute(statement)
    async with file_db.connection() as conn:
        assert (conn._conn is raw) == is_kept


async def test_settings_of_memory_are_reset() -> None:
    async with Database(":memory:") as db:
        async with db.connection() as conn:
            await conn.execute("PRAGMA foreign_keys = OFF")
        async with db.connection() as conn:
            assert await in_its_thread(conn, unsettled, declared().settings) == []


async def test_failed_block_whose_cursor_is_alive_leaves_no_lock(file_db: Database) -> None:
    """It is, as long as somebody keeps the error with its trace."""

    async def fail() -> None:
        async with file_db.connection() as conn:
            await conn.execute(TASK, ("t1",))
            cursor = await conn.execute("SELECT 1 UNION ALL SELECT 2")
            await cursor.fetchone()
            raise LookupError

    with pytest.raises(LookupError) as kept:
        await fail()
    assert (await file_db.remember("user:a", "k", 1)).version == 1
    del kept


async def test_block_that_closes_its_connection(file_db: Database) -> None:
    async with file_db.connection() as conn:
        await conn.close()
    assert await count(file_db) == 0


async def test_unread_result_is_not_in_the_way(file_db: Database) -> None:
    """Its cursor is alive, with rows left to read, when another block gets the connection."""
    async with file_db.connection() as conn:
        await conn.executemany(TASK, [(f"t{number}",) for number in range(10)])
        await conn.commit()
        cursor = await conn.execute("SELECT * FROM tasks")
        await cursor.fetchone()
        raw = conn._conn
    other = sqlite3.connect(file_db.path)
    other.execute(TASK, ("other",))
    other.commit()
    other.close()
    async with file_db.connection() as conn:
        assert conn._conn is raw  # the same one
        await conn.execute(TASK, ("new",))  # on the old snapshot SQLite would say "locked", at once
        await conn.commit()
        rows = list(await conn.execute_fetchall("SELECT count(*) FROM tasks"))
    assert rows[0][0] == 12
    del cursor


async def test_settings_that_are_declared_cost_no_new_connection(file_db: Database) -> None:
    """Many applications set them in each block."""
    seen = []
    for statement in ("SELECT 1", "PRAGMA foreign_keys = ON", "pragma main.synchronous=off", ""):
        async with file_db.connection() as conn:
            seen.append(conn._conn)
            await conn.execute(f"{statement};")
    assert len(set(map(id, seen))) == 1
    async with file_db.connection() as conn:
        assert await in_its_thread(conn, unsettled, declared().settings) == []
        await conn.execute("PRAGMA cache_size = 7; ")
    async with file_db.connection() as conn:
        assert conn._conn is not seen[0]
