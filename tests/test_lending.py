"""The async `Database`: the connections that it lends, and transactions."""

import asyncio
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from abathur_schema import Database
from abathur_schema.application import pool, turns
from abathur_schema.errors import UsageError
from abathur_schema.storage.connection import COMPANIONS
from tests.support.inserts import STATE, TASK, count


async def test_rows_are_read_by_name(db: Database) -> None:
    async with db._get_connection() as conn:
        await conn.execute(TASK, ("t1",))
        await conn.commit()
        async with conn.execute("SELECT id, prompt FROM tasks") as cursor:
            row = await cursor.fetchone()
    assert row
    assert (row["id"], row["prompt"]) == ("t1", "do")


async def test_leaving_without_commit_loses_the_writes(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute(TASK, ("t1",))
        assert conn.in_transaction
    assert await count(db) == 0


async def test_error_undoes_the_writes(db: Database) -> None:
    with suppress(LookupError):
        async with db.connection() as conn:
            await conn.execute("BEGIN")
            await conn.execute(TASK, ("t1",))
            raise LookupError
    assert await count(db) == 0
    async with db.transaction() as conn:  # no lock is left
        await conn.execute(TASK, ("t1",))


async def test_host_begins_commits_and_rolls_back(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute("BEGIN")
        await conn.execute(TASK, ("t1",))
        await conn.rollback()
        await conn.execute("BEGIN")
        await conn.execute(TASK, ("t2",))
        await conn.commit()
        await conn.execute(TASK, ("t3",))
        await conn.execute("COMMIT")
    assert await count(db) == 2


async def test_foreign_keys_are_enforced(db: Database) -> None:
    async with db.connection() as conn:
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            await conn.execute(STATE, ("nobody",))


async def test_before_initialize_a_file_is_missed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"await initialize\(\)"):
        async with Database(tmp_path / "swarm.db").connection():
            pass
    assert list(tmp_path.iterdir()) == []


async def test_file_that_was_replaced_is_opened_anew(file_db: Database) -> None:
    """As when a copy is put back: writes to the old file would be lost."""
    async with file_db.connection() as conn:
        await conn.execute(TASK, ("old",))
        await conn.commit()
    async with Database(file_db.path.with_name("other.db")) as other:
        path = other.path
    for suffix in COMPANIONS:
        file_db.path.with_name(file_db.path.name + suffix).unlink(missing_ok=True)
    path.rename(file_db.path)
    assert await count(file_db) == 0


async def test_no_connection_is_lent_twice(
    file_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are there more when the last of the queue wait for longer than the patience: 400 blocks,
    and a clock by which each takes a tenth of it, so that a slow machine changes nothing.
    """
    lent: set[int] = set()
    most = ended = 0
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: ended * 0.01))

    async def work() -> None:
        nonlocal most, ended
        async with file_db.connection() as conn:
            assert id(conn) not in lent
            lent.add(id(conn))
            most = max(most, len(lent))
            await asyncio.sleep(0.001)
            lent.remove(id(conn))
            ended += 1

    await asyncio.gather(*(work() for _ in range(400)))
    assert most == pool.AT_ONCE


async def test_blocks_that_keep_theirs_stop_nobody(file_db: Database) -> None:
    leave = asyncio.Event()

    async def keep() -> None:
        async with file_db.connection():
            await leave.wait()

    keeping = [asyncio.create_task(keep()) for _ in range(pool.AT_ONCE)]
    await asyncio.sleep(0.1)
    assert await asyncio.wait_for(count(file_db), pool.PATIENCE_SECONDS + 5) == 0
    leave.set()
    await asyncio.gather(*keeping)


async def test_blocks_inside_blocks(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 5.0)  # as is busy_timeout

    async def nested(depth: int) -> int:
        async with db.connection():
            return await nested(depth - 1) if depth else await count(db)

    started = time.monotonic()
    assert await asyncio.gather(*(nested(3) for _ in range(20))) == [0] * 20
    assert time.monotonic() - started < pool.PATIENCE_SECONDS


async def test_tasks_of_a_block_take_turns_in_it() -> None:
    async with Database(":memory:") as db:

        async def write(name: str) -> None:
            async with db.connection() as conn:
                await conn.execute("BEGIN")
                await conn.execute(TASK, (name,))
                await asyncio.sleep(0.001)
                await conn.commit()

        async with db.connection():
            await asyncio.gather(write("t1"), write("t2"))
            late = asyncio.create_task(write("t3"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.gather(write("t4"), late)
        assert await count(db) == 4


async def test_memory_that_is_kept_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Database(":memory:") as db:
        monkeypatch.setattr(pool, "busy_timeout_seconds", lambda _: 0.05)
        entered = asyncio.Event()

        async def keep() -> None:
            async with db.connection():
                entered.set()
                await asyncio.sleep(0.3)

        keeping = asyncio.create_task(keep())
        await entered.wait()
        with pytest.raises(sqlite3.OperationalError, match="database is locked: another block"):
            await count(db)
        await keeping
        assert await count(db) == 0


async def test_transactions_lose_no_update(db: Database) -> None:
    async with db.transaction() as conn:
        await conn.execute(TASK, ("t1",))

    async def add() -> None:
        async with db.transaction() as conn:
            rows = await conn.execute_fetchall("SELECT retry_count FROM tasks")
            for (number,) in rows:
                await conn.execute("UPDATE tasks SET retry_count = ?", (number + 1,))

    await asyncio.gather(*(add() for _ in range(50)))
    async with db.connection() as conn:
        rows = list(await conn.execute_fetchall("SELECT retry_count FROM tasks"))
    assert rows[0]["retry_count"] == 50


async def test_transactions_queue_for_longer_than_the_timeout(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that go ahead of their turn would compete for the lock, until it is too late."""
    monkeypatch.setattr(db, "_patience", 0.1)
    monkeypatch.setattr(pool, "busy_timeout_seconds", lambda _: 0.1)
    order: list[int] = []

    async def write(number: int) -> None:
        async with db.transaction():
            order.append(number)
            await asyncio.sleep(0.02)

    await asyncio.gather(*(write(number) for number in range(30)))
    assert order == list(range(30))


async def test_failed_transaction_is_undone(db: Database) -> None:
    with suppress(LookupError):
        async with db.transaction() as conn:
            await conn.execute(TASK, ("t1",))
            raise LookupError
    assert await count(db) == 0


async def test_transaction_inside_itself_says_so_at_once(db: Database) -> None:
    async with db.transaction():
        with pytest.raises(UsageError, match="in a transaction already"):
            async with db.transaction():
                pass
    async with db.transaction() as conn:
        await conn.execute(TASK, ("t1",))
