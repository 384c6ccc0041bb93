"""The verbs of `Database` from many tasks in several processes."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from abathur_schema import Database
from tests.support.commands import environment
from tests.support.inserts import TASK

SESSION = "INSERT INTO sessions (id, app_name, user_id) VALUES ('s1', 'shop', 'alice')"


async def execute(db: Database, *statements: str, values: tuple[Any, ...] = ()) -> None:
    async with db.transaction() as conn:
        for statement in statements:
            await conn.execute(statement, values)


async def trail(db: Database) -> list[dict[str, Any]]:
    async with db.connection() as conn:
        rows = await conn.execute_fetchall("SELECT * FROM audit ORDER BY id")
        return [dict(row) for row in rows]


PROGRAM = """
import asyncio, sys
from abathur_schema import Database

async def main() -> None:
    async with Database(sys.argv[1]) as db:
        print("ready", flush=True)
        sys.stdin.readline()
        async def work(number):
            await db.remember("user:alice", "tea", number)
            await db.append_event("s1", number)
            await db.index_document(f"{number % 5}.md", content=str(number))
            task = await db.claim_task()
            print(task.id if task else "", flush=True)
        await asyncio.gather(*(work(number) for number in range(50)))

asyncio.run(main())
"""


async def test_fifty_at_once_in_each_of_three_processes(tmp_path: Path) -> None:
    """No version, event or audit row is lost or made twice, and each task has one worker."""
    path = tmp_path / "swarm.db"
    async with Database(path) as db:
        await execute(db, SESSION)
        async with db.transaction() as conn:
            await conn.executemany(TASK, [(f"t{number}",) for number in range(100)])
        pipe = asyncio.subprocess.PIPE
        workers = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PROGRAM, str(path)),
                stdin=pipe,
                stdout=pipe,
                env=environment(),
            )
            for _ in range(3)
        ]
        for worker in workers:
            assert worker.stdout
            await worker.stdout.readline()
        outputs = await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
        assert [worker.returncode for worker in workers] == [0, 0, 0]
        claimed = [line for out, _ in outputs for line in out.decode().split()]
        assert sorted(claimed) == sorted(f"t{number}" for number in range(100))
        history = await db.history("user:alice", "tea", limit=1000)
        assert [one.version for one in history] == list(range(150, 0, -1))
        async with db.connection() as conn:
            ((events, documents),) = await conn.execute_fetchall(
                "SELECT json_array_length(events), (SELECT count(*) FROM document_index)"
                " FROM sessions"
            )
        assert (events, documents) == (150, 5)
        actions = [one["action_type"] for one in await trail(db)]
        assert actions.count("session_append_event") == 150
        assert actions.count("task_claim") == 100
        assert actions.count("memory_create") == 1
        assert actions.count("memory_update") == 149
