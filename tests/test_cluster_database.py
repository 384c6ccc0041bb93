"""`Database` on a cluster: its methods, its transactions, and what happens at once, or to a leader
that is killed.
"""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from abathur_schema import Database
from abathur_schema.errors import BatchError, ConflictError, UsageError
from tests.support.rqlite import Cluster, Node

SESSION = "INSERT INTO sessions (id, app_name, user_id) VALUES (?, 'app', 'user')"
TASK = (
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
    " VALUES (?, 'do', 'ready', '{}', '2026-01-01', '2026-01-01')"
)
TABLES = ("tasks", "sessions", "memory_entries", "document_index", "audit", "metrics")


@pytest.fixture
async def db(cluster: Cluster) -> AsyncIterator[Database]:
    """An initialized `Database` on a cluster."""
    async with Database(cluster.address, search=True) as database:
        yield database


def same_on_all_nodes(cluster: Cluster) -> None:
    """Fail unless every node has the same rows: times are those of the writer."""
    cluster.caught_up()
    for table in TABLES:
        found = {repr(cluster.rows(f"SELECT * FROM {table}", node)) for node in cluster.nodes}
        assert len(found) == 1, table


async def add_session(db: Database, name: str = "s") -> None:
    async with db.transaction() as conn:
        await conn.execute(SESSION, (name,))


async def test_memories(db: Database, cluster: Cluster) -> None:
    first = await db.remember("user:alice", "k", {"a": [1, "ü\0"]}, created_by="me")
    assert (first.version, first.memory_type, first.value) == (1, "semantic", {"a": [1, "ü\0"]})
    second = await db.remember("user:alice", "k", 2, memory_type="episodic", metadata={"m": 1})
    third = await db.remember("user:alice", "k", 3)
    assert (third.version, third.memory_type, third.metadata) == (3, "episodic", {"m": 1})
    assert await db.recall("user:alice", "k") == third
    assert await db.history("user:alice", "k") == [third, second, first]
    assert await db.forget("user:alice", "k", updated_by="me") == 3
    assert await db.forget("user:alice", "k") == 0
    assert await db.recall("user:alice", "k") is None
    trail = await db.fetch("trail-of-a-namespace", namespace="user:alice", limit=9)
    kinds = Counter(row["memory_operation_type"] for row in trail)
    assert kinds == {"create": 1, "update": 2, "delete": 1}
    ids = cluster.rows("SELECT memory_entry_id FROM audit ORDER BY id")
    assert ids == [(first.id,), (second.id,), (third.id,), (third.id,)]
    same_on_all_nodes(cluster)


async def test_sessions_tasks_and_documents(db: Database, cluster: Cluster) -> None:
    await add_session(db)
    assert [await db.append_event("s", {"n": n}, state={"at": n}) for n in (1, 2)] == [1, 2]
    assert cluster.rows("SELECT events, state FROM sessions") == [
        ('[{"n":1},{"n":2}]', '{"at":2}'),
    ]
    with pytest.raises(UsageError, match="there is no session 'other'"):
        await db.append_event("other", 1)
    assert await db.claim_task() is None
    async with db.transaction() as conn:
        await conn.executemany(TASK, [("t1",), ("t2",)])
    task = await db.claim_task(agent_type="general")
    assert task
    assert (task.id, task.status, task.input_data) == ("t1", "running", {})
    new = await db.index_document("x.md", content="# Title\nwords")
    assert (new.title, new.sync_status) == ("Title", "pending")
    vector = [1.0, 0.0, 0.5]
    assert await db.index_document("x.md", content="# Title\nwords") == new
    known = await db.index_document(
        "x.md", content="# Title\nwords", embedding=vector, embedding_model="m"
    )
    assert (known.id, known.sync_status) == (new.id, "synced")
    pytest.importorskip("numpy")
    (near,) = await db.nearest_documents(vector)
    assert near.id == new.id
    assert near.distance == pytest.approx(0, abs=1e-6)
    same_on_all_nodes(cluster)


async def test_search_and_what_it_tells_of_itself(db: Database) -> None:
    await db.remember("user:bob", "note", "the quick brown fox")
    (hit,) = await db.search("quick fox", namespace="user:bob")
    assert hit.snippet == "the [quick] brown [fox]"
    assert await db.search("quick", namespace="user:bobby") == []
    plan = await db.explain_query_plan("SELECT * FROM tasks WHERE id = ?", ("a",))
    assert plan == ["SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"]
    assert (await db.get_index_usage())["index_count"] == 33
    assert await db.validate_foreign_keys() == []
    checks = await db.verify()
    assert {check.status for check in checks} == {"pass", "info"}
    (apart,) = [check for check in checks if check.name == "left out on a cluster"]
    assert apart.number == 4
    with pytest.raises(UsageError, match="has no path"):
        _ = db.path


async def test_a_wrong_agent_is_refused_and_nothing_is_written(
    db: Database, cluster: Cluster
) -> None:
    with pytest.raises(UsageError, match="Is there an agent 'nobody'"):
        await db.remember("user:x", "k", 1, agent_id="nobody")
    assert cluster.rows("SELECT count(*) FROM memory_entries") == [(0,)]


async def test_a_transaction_is_whole_or_not_at_all(db: Database, cluster: Cluster) -> None:
    async def add(*names: str | None) -> None:
        async with db.transaction() as conn:
            for name in names:
                if name is None:
                    raise KeyError
                await conn.execute(SESSION, (name,))

    with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: sessions\.id"):
        await add("a", "b", "a")
    with pytest.raises(KeyError):
        await add("c", None)
    assert cluster.rows("SELECT count(*) FROM sessions") == [(0,)]


async def test_a_connection_commits_when_it_is_told_to(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute(SESSION, ("lost",))
    async with db.connection() as conn:
        await conn.execute(SESSION, ("gone",))
        await conn.rollback()
        await conn.execute(SESSION, ("kept",))
        assert conn.in_transaction
        await conn.commit()
        rows = await conn.execute_fetchall("SELECT id FROM sessions")
    assert [row["id"] for row in rows] == ["kept"]


IMPOSSIBLE: dict[str, tuple[Callable[[Any], Awaitable[Any]], str]] = {
    "BEGIN": (lambda conn: conn.execute("BEGIN IMMEDIATE"), r"db\.transaction\(\)"),
    "a savepoint": (lambda conn: conn.execute("SAVEPOINT a"), r"db\.transaction\(\)"),
    "a script": (lambda conn: conn.executescript("SELECT 1;"), r"db\.transaction\(\)"),
    "a read of what is not sent": (
        lambda conn: conn.execute("SELECT count(*) FROM sessions"),
        "Read before the first write",
    ),
    "what a write returns": (
        lambda conn: conn.execute_fetchall(f"{SESSION} RETURNING id", ("b",)),
        "Leave out RETURNING",
    ),
    "chance": (lambda conn: conn.execute(SESSION.replace("?", "hex(randomblob(9))")), "RANDOMBLOB"),
    "a time that is left out": (
        lambda conn: conn.execute(
            "INSERT INTO sessions (id, app_name, user_id) SELECT 'b', 'c', 'd'"
        ),
        "CURRENT_TIMESTAMP",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
async def test_what_a_cluster_cannot_do_says_what_to_do(case: str, db: Database) -> None:
    act, says = IMPOSSIBLE[case]
    async with db.connection() as conn:
        await conn.execute(SESSION, ("a",))
        with pytest.raises(BatchError, match=says):
            await act(conn)
        await conn.commit()
        rows = await conn.execute_fetchall("SELECT id FROM sessions")
    assert [row[0] for row in rows] == (["a", "b"] if case == "what a write returns" else ["a"])


async def test_a_transaction_is_refused_if_what_it_read_has_changed(db: Database) -> None:
    await add_session(db)
    read = "SELECT user_id FROM sessions WHERE id = 's'"

    async def take(name: str) -> str:
        try:
            async with db.transaction() as conn:
                ((before,),) = await conn.execute_fetchall(read)
                seen.append(before)
                while len(seen) < 2:
                    await asyncio.sleep(0.001)
                await conn.execute("UPDATE sessions SET user_id = ? WHERE id = 's'", (name,))
        except ConflictError:
            return ""
        return name

    seen: list[str] = []
    won = [name for name in await asyncio.gather(take("a"), take("b")) if name]
    assert len(won) == 1
    async with db.connection() as conn:
        assert [row[0] for row in await conn.execute_fetchall(read)] == won


async def test_many_at_once_on_the_same_rows(db: Database, cluster: Cluster) -> None:
    await add_session(db)
    async with db.transaction() as conn:
        await conn.executemany(TASK, [(f"t{number}",) for number in range(6)])
    memories, events, tasks = await asyncio.gather(
        asyncio.gather(*(db.remember("user:a", "k", number) for number in range(8))),
        asyncio.gather(*(db.append_event("s", number) for number in range(8))),
        asyncio.gather(*(db.claim_task() for _ in range(9))),
    )
    assert sorted(memory.version for memory in memories) == [*range(1, 9)]
    assert sorted(events) == [*range(1, 9)]
    claimed = sorted(task.id for task in tasks if task)
    assert claimed == [f"t{number}" for number in range(6)]
    same_on_all_nodes(cluster)


async def test_two_initialize_at_once(cluster: Cluster) -> None:
    both = Database(cluster.address), Database(cluster.address, search=True)
    await asyncio.gather(*(one.initialize() for one in both))
    await both[0].initialize()
    assert {check.status for check in await both[0].verify()} == {"pass", "info"}
    await asyncio.gather(*(one.close() for one in both))


async def test_fifty_writers_and_the_leader_is_killed(own_cluster: Cluster) -> None:
    """Every verb that is acknowledged took place once, and none twice."""
    seconds = 6.0
    loop = asyncio.get_running_loop()
    memories: list[tuple[str, float]] = []
    events = 0
    async with Database(own_cluster.address) as db:
        await add_session(db)
        end = loop.time() + seconds

        def is_over() -> bool:
            """On a busy machine the election takes longer: at least one is acknowledged after."""
            is_seen = bool(dead and memories and memories[-1][1] > dead[0][1])
            return loop.time() > end and (is_seen or loop.time() > end + 30)

        async def write(writer: int) -> None:
            number = 0
            while not is_over():
                key = f"{writer}-{number}"
                await db.remember("user:a", key, number)
                memories.append((key, loop.time()))
                number += 1

        async def append() -> None:
            nonlocal events
            while not is_over():
                await db.append_event("s", 1)
                events += 1

        async def kill() -> None:
            await asyncio.sleep(seconds / 3)
            leader = await asyncio.to_thread(own_cluster.leader)
            await asyncio.to_thread(own_cluster.kill, leader)
            dead.append((leader, loop.time()))

        dead: list[tuple[Node, float]] = []
        await asyncio.gather(kill(), append(), append(), *map(write, range(50)))
        assert {check.status for check in await db.verify()} == {"pass", "info"}
    ((leader, killed),) = dead
    await asyncio.to_thread(own_cluster.restart, leader)
    after = [at for _, at in memories if at > killed]
    assert after, "nothing is acknowledged after the kill"
    print(f"{len(memories)} acknowledged, the next after {min(after) - killed:.2f} s")
    same_on_all_nodes(own_cluster)
    found = Counter(own_cluster.rows("SELECT key FROM memory_entries"))
    assert found == Counter((key,) for key, _ in memories)
    trail = own_cluster.rows("SELECT action_data FROM audit WHERE memory_operation_type = 'create'")
    told = Counter(json.loads(str(data))["key"] for (data,) in trail)
    assert told == Counter(key for key, _ in memories)
    assert own_cluster.rows("SELECT json_array_length(events) FROM sessions") == [(events,)]
