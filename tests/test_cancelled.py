"""The async `Database` after a task was cancelled, after `close()`, and when never closed."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from abathur_schema import Database
from abathur_schema.application import pool
from tests.support.commands import environment, run
from tests.support.inserts import TASK, count

SLOW = "WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n) SELECT max(x) AS x FROM n"
TWENTY_SECONDS = SLOW.replace("FROM n)", "FROM n LIMIT 60000000)")


@pytest.mark.parametrize(
    "statement", [SLOW, f"INSERT INTO metrics SELECT 1, 1, 'm', x, NULL FROM ({SLOW})"]
)
async def test_cancelled_task_stops_and_leaves_no_lock(db: Database, statement: str) -> None:
    async def work() -> None:
        async with db.connection() as conn:
            await conn.execute(TASK, ("t1",))
            await conn.execute(statement)

    working = asyncio.create_task(work())
    await asyncio.sleep(0.2)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 5)
    async with db.transaction() as conn:
        await conn.execute(TASK, ("t2",))
    assert await count(db) == 1


@pytest.mark.parametrize("kind", ["connection", "transaction"])
async def test_timeout_inside_a_block_stops_its_statement(db: Database, kind: str) -> None:
    started = time.monotonic()
    with suppress(asyncio.TimeoutError):
        async with getattr(db, kind)() as conn:
            await conn.execute(TASK, ("t1",))
            await asyncio.wait_for(conn.execute_fetchall(TWENTY_SECONDS), 0.2)
    async with db.transaction() as conn:
        await conn.execute(TASK, ("t2",))
    assert time.monotonic() - started < 6
    assert await count(db) == 1


def connection_threads() -> int:
    names = (thread.name for thread in threading.enumerate())
    return sum(not name.startswith(("MainThread", "asyncio")) for name in names)


async def falls_to(most: int) -> bool:
    """Whether soon no more than `most` threads of connections are left."""
    for _ in range(2000):  # on a busy machine a thread takes its time to end
        if connection_threads() <= most:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_tasks_cancelled_anywhere_leak_nothing(tmp_path: Path) -> None:
    """Each is cancelled a little later than the last: while opening, waiting, writing ..."""
    before = connection_threads()
    async with Database(tmp_path / "swarm.db") as db:

        async def work(name: str) -> None:
            async with db.connection() as conn:
                await conn.execute(TASK, (name,))
                await conn.commit()

        for number in range(60):
            working = [asyncio.create_task(work(f"{number}-{k}")) for k in range(3)]
            await asyncio.sleep(number / 20_000)
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        async with db.transaction() as conn:
            await conn.execute(TASK, ("last",))
        assert await falls_to(before + pool.AT_ONCE)
    assert await falls_to(before)
    gc.collect()  # an unclosed connection would warn, and warnings are errors here


def test_program_that_forgets_to_close_ends(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from abathur_schema import Database\n"
        "async def main():\n"
        "    for path in (sys.argv[1], ':memory:'):\n"
        "        db = Database(path)\n"
        "        await db.initialize()\n"
        "        async with db.connection() as conn: await conn.execute('SELECT 1')\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "swarm.db")]
    assert subprocess.run(command, env=environment(), timeout=30, check=False).returncode == 0


async def test_file_can_be_used_after_close(file_db: Database) -> None:
    await file_db.close()
    assert await count(file_db) == 0
    async with file_db.connection() as conn:
        await file_db.close()  # the one in use is closed when it is given back
        await conn.execute("SELECT 1")
    assert await count(file_db) == 0


async def test_memory_is_closed_when_it_is_given_back() -> None:
    db = Database(":memory:")
    await db.initialize()
    async with db.connection() as conn:
        await db.close()
        await conn.execute(TASK, ("t1",))
        assert await count(db) == 1  # a block inside
    async with db.connection() as conn:
        assert await conn.execute_fetchall("SELECT * FROM sqlite_schema") == []
    await db.close()


FORKED = """
import asyncio, os, sys
from abathur_schema import Database

db, closes = Database(sys.argv[1]), sys.argv[2:] == ["closed"]

async def before():
    await db.initialize()
    await db.get_index_usage()
    if closes:
        await db.close()

async def after():
    async with db.connection() as conn:
        print((await conn.execute_fetchall("SELECT 1"))[0][0], flush=True)
    await db.close()

asyncio.run(before())
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
try:
    asyncio.run(after())
except Exception as error:
    print(type(error).__name__, flush=True)
    asyncio.run(db.close())
"""


@pytest.mark.parametrize("path", ["swarm.db", ":memory:"])
@pytest.mark.parametrize("when", ["open", "closed"])
def test_in_a_forked_process_the_connections_of_the_other_are_an_error(
    tmp_path: Path, path: str, when: str
) -> None:
    result = run([sys.executable, "-W", "ignore", "-c", FORKED, path, when], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == ["UsageError" if when == "open" else "1", "1"]


def test_one_database_in_several_loops(tmp_path: Path) -> None:
    db = Database(tmp_path / "swarm.db")
    asyncio.run(db.initialize())
    assert asyncio.run(count(db)) == 0
    assert asyncio.run(count(db)) == 0
    asyncio.run(db.close())
