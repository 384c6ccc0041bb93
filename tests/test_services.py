"""Services as other people write them work on a file and in memory, alone and many at once."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from abathur_schema import Database
from tests.support.services import ConflictError, DocumentService, MemoryService, SessionService


@pytest.fixture(params=["file", "memory"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "swarm.db" if request.param == "file" else Path(":memory:"))
    await database.initialize()
    yield database
    await database.close()


async def test_life_of_a_session(db: Database) -> None:
    service = SessionService(db)
    session = await service.create("shop", "alice", "p1")
    await service.append_event(session, {"text": "hello"}, step=1)
    await service.append_event(session, {"text": "bye"}, step=2, done=True)
    found = await service.get(session)
    assert found
    assert found["events"] == [{"text": "hello"}, {"text": "bye"}]
    assert found["state"] == {"step": 2, "done": True}
    assert found["status"] == "created"
    await service.terminate(session)
    found = await service.get(session)
    assert found
    assert (found["status"], bool(found["terminated_at"])) == ("terminated", True)
    assert await service.get("nobody") is None
    with pytest.raises(LookupError):
        await service.append_event("nobody", {})
    assert await service.of_user("alice") == [session]


async def test_events_appended_at_once_are_all_there(db: Database) -> None:
    service = SessionService(db)
    session = await service.create("shop", "alice")
    await asyncio.gather(*(service.append_event(session, n, **{f"k{n}": n}) for n in range(40)))
    found = await service.get(session)
    assert found
    assert sorted(found["events"]) == list(range(40))
    assert found["state"] == {f"k{n}": n for n in range(40)}


async def test_constraints_reach_the_service(db: Database) -> None:
    async with db._get_connection() as conn:
        for statement, message in {
            "INSERT INTO sessions (id, app_name, user_id, status) VALUES ('s', 'a', 'u', 'no')": (
                "CHECK"
            ),
            "INSERT INTO memory_entries (namespace, key, value, memory_type)"
            " VALUES ('user:a', 'k', 'no JSON', 'semantic')": "CHECK",
            "INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)"
            " VALUES ('a', 'n', 's', 'nobody', 'idle', 'm', '')": "FOREIGN KEY",
        }.items():
            with pytest.raises(sqlite3.IntegrityError, match=message):
                await conn.execute(statement)
            await conn.rollback()


async def test_versions_of_a_memory(db: Database) -> None:
    service = MemoryService(db)
    await service.add("user:alice", "theme", "light")
    assert await service.update("user:alice", "theme", "dark", seen=1) == 2
    current = await service.current("user:alice", "theme")
    assert current
    assert (current["version"], json.loads(current["value"])) == (2, "dark")
    with pytest.raises(ConflictError):
        await service.update("user:alice", "theme", "blue", seen=1)
    await service.add("user:alice:projects", "p1", {})
    await service.add("user:alice2", "not mine", {})
    assert await service.below("user:alice") == ["p1", "theme", "theme"]
    await service.forget("user:alice", "theme")
    assert await service.current("user:alice", "theme") is None


async def test_of_writers_of_one_version_one_wins(db: Database) -> None:
    service = MemoryService(db)
    await service.add("user:alice", "theme", 0)
    outcomes = await asyncio.gather(
        *(service.update("user:alice", "theme", n, seen=1) for n in range(20)),
        return_exceptions=True,
    )
    assert outcomes.count(2) == 1
    assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 19


async def test_counting_by_optimistic_locking_loses_nothing(db: Database) -> None:
    service = MemoryService(db)
    await service.add("user:alice", "count", 0)

    async def add() -> None:
        while True:
            current = await service.current("user:alice", "count")
            assert current
            try:
                value = json.loads(current["value"]) + 1
                await service.update("user:alice", "count", value, current["version"])
            except ConflictError:
                continue
            return

    await asyncio.gather(*(add() for _ in range(15)))
    current = await service.current("user:alice", "count")
    assert current
    assert (json.loads(current["value"]), current["version"]) == (15, 16)


async def test_documents(db: Database) -> None:
    service = DocumentService(db)
    first = await service.index("a.md", "# A")
    await service.index("b.md", "# B")
    assert await service.waiting() == ["a.md", "b.md"]
    await service.embedded(first, bytes(16))
    assert await service.waiting() == ["b.md"]
    assert await service.index("a.md", "# A") == first
    assert await service.waiting() == ["b.md"]
    assert await service.index("a.md", "# A, again") == first
    assert await service.waiting() == ["a.md", "b.md"]


async def test_all_services_at_once(db: Database) -> None:
    sessions, memories, documents = SessionService(db), MemoryService(db), DocumentService(db)

    async def conversation(number: int) -> None:
        session = await sessions.create("shop", f"user{number}")
        for step in range(3):
            await sessions.append_event(session, step)
            await memories.add(f"session:{session}", f"step{step}", step, "episodic")
            await documents.index(f"{session}-{step}.md", f"# {step}")
        found = await sessions.get(session)
        assert found
        assert found["events"] == [0, 1, 2]
        assert await memories.below(f"session:{session}") == ["step0", "step1", "step2"]

    await asyncio.gather(*(conversation(number) for number in range(15)))
    assert len(await documents.waiting()) == 45
    assert await db.validate_foreign_keys() == []


async def test_a_test_of_theirs_looks_while_a_service_works(db: Database) -> None:
    """A block around the service's own, as assertions in a test often have it."""
    service = SessionService(db)
    async with db._get_connection() as conn:
        session = await service.create("shop", "alice")
        cursor = await conn.execute("SELECT user_id FROM sessions WHERE id = ?", (session,))
        row = await cursor.fetchone()
        assert row
        assert row["user_id"] == "alice"
        await asyncio.gather(*(service.append_event(session, n) for n in range(5)))
