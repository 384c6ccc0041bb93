"""Services as other people write them: they know a database only by `_get_connection()`, rows by
name, `execute` and `commit`. They work on a file and in memory, one after the other and at once.
"""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiosqlite
import pytest

from abathur_schema import Database


@pytest.fixture(params=["file", "memory"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "swarm.db" if request.param == "file" else Path(":memory:"))
    await database.initialize()
    yield database
    await database.close()


class SessionService:
    """Conversations; an event is appended by reading and writing the array in one transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def create(self, app: str, user: str, project: str | None = None) -> str:
        session = str(uuid4())
        async with self.db._get_connection() as conn:
            await conn.execute(
                "INSERT INTO sessions (id, app_name, user_id, project_id) VALUES (?, ?, ?, ?)",
                (session, app, user, project),
            )
            await conn.commit()
        return session

    async def get(self, session: str) -> dict[str, Any] | None:
        async with self.db._get_connection() as conn:
            cursor = await conn.execute("SELECT * FROM sessions WHERE id = ?", (session,))
            row = await cursor.fetchone()
        if row is None:
            return None
        return {
            **dict(row),
            "events": json.loads(row["events"]),
            "state": json.loads(row["state"]),
        }

    async def append_event(self, session: str, event: object, **state: object) -> None:
        async with self.db._get_connection() as conn:
            await conn.execute("BEGIN IMMEDIATE")
            try:
                cursor = await conn.execute(
                    "SELECT events, state FROM sessions WHERE id = ?", (session,)
                )
                row = await cursor.fetchone()
                if row is None:
                    raise LookupError(session)
                await conn.execute(
                    "UPDATE sessions SET events = ?, state = ?, last_update_time = ? WHERE id = ?",
                    (
                        json.dumps([*json.loads(row["events"]), event]),
                        json.dumps({**json.loads(row["state"]), **state}),
                        datetime.now(timezone.utc).isoformat(),
                        session,
                    ),
                )
                await conn.commit()
            except Exception:
                await conn.rollback()
                raise

    async def terminate(self, session: str) -> None:
        async with self.db._get_connection() as conn:
            await conn.execute(
                "UPDATE sessions SET status = 'terminated', terminated_at = CURRENT_TIMESTAMP"
                " WHERE id = ?",
                (session,),
            )
            await conn.commit()

    async def of_user(self, user: str) -> list[str]:
        found = []
        async with self.db._get_connection() as conn:
            cursor = await conn.execute("SELECT id FROM sessions WHERE user_id = ?", (user,))
            async for row in cursor:
                session = await self.get(row["id"])  # a block inside a block
                assert session
                found.append(session["id"])
        return found


class ConflictError(Exception):
    """Another writer was first."""


class MemoryService:
    """Memories in versions; a writer names the version that it has seen (optimistic locking)."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def add(self, namespace: str, key: str, value: object, kind: str = "semantic") -> int:
        async with self.db._get_connection() as conn:
            cursor = await conn.execute(
                "INSERT INTO memory_entries (namespace, key, value, memory_type)"
                " VALUES (?, ?, ?, ?)",
                (namespace, key, json.dumps(value), kind),
            )
            await conn.commit()
            assert cursor.lastrowid
            return cursor.lastrowid

    async def current(self, namespace: str, key: str) -> aiosqlite.Row | None:
        async with self.db._get_connection() as conn:
            cursor = await conn.execute(
                "SELECT * FROM memory_entries WHERE namespace = ? AND key = ? AND is_deleted = 0"
                " ORDER BY version DESC LIMIT 1",
                (namespace, key),
            )
            return await cursor.fetchone()

    async def update(self, namespace: str, key: str, value: object, seen: int) -> int:
        async with self.db._get_connection() as conn:
            try:
                await conn.execute(
                    "INSERT INTO memory_entries (namespace, key, value, memory_type, version)"
                    " SELECT namespace, key, ?, memory_type, version + 1 FROM memory_entries"
                    " WHERE namespace = ? AND key = ? AND version = ? AND is_deleted = 0",
                    (json.dumps(value), namespace, key, seen),
                )
            except sqlite3.IntegrityError as error:
                raise ConflictError(key) from error
            await conn.commit()
            return seen + 1

    async def forget(self, namespace: str, key: str) -> None:
        async with self.db._get_connection() as conn:
            await conn.execute(
                "UPDATE memory_entries SET is_deleted = 1 WHERE namespace = ? AND key = ?",
                (namespace, key),
            )
            await conn.commit()

    async def below(self, namespace: str) -> list[str]:
        async with self.db._get_connection() as conn:
            rows = await conn.execute_fetchall(
                "SELECT key FROM memory_entries WHERE is_deleted = 0 AND (namespace = ?"
                " OR (namespace >= ? || ':' AND namespace < ? || ';')) ORDER BY key",
                (namespace,) * 3,
            )
        return [row["key"] for row in rows]


class DocumentService:
    """Documents by their path; the embedding comes later."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def index(self, path: str, text: str) -> int:
        digest = hashlib.sha256(text.encode()).hexdigest()
        async with self.db._get_connection() as conn:
            await conn.execute(
                "INSERT INTO document_index (file_path, title, content_hash) VALUES (?, ?, ?)"
                " ON CONFLICT (file_path) DO UPDATE SET content_hash = excluded.content_hash,"
                " sync_status = 'stale' WHERE content_hash <> excluded.content_hash",
                (path, text.splitlines()[0], digest),
            )
            await conn.commit()
            cursor = await conn.execute(
                "SELECT id FROM document_index WHERE file_path = ?", (path,)
            )
            row = await cursor.fetchone()
            assert row
            return int(row["id"])

    async def embedded(self, document: int, vector: bytes) -> None:
        async with self.db._get_connection() as conn:
            await conn.execute(
                "UPDATE document_index SET embedding_blob = ?, embedding_model = 'm',"
                " sync_status = 'synced', last_synced_at = CURRENT_TIMESTAMP WHERE id = ?",
                (vector, document),
            )
            await conn.commit()

    async def waiting(self) -> list[str]:
        async with self.db._get_connection() as conn:
            cursor = await conn.execute(
                "SELECT file_path FROM document_index WHERE sync_status IN ('pending', 'stale')"
                " ORDER BY created_at, id"
            )
            return [row["file_path"] for row in await cursor.fetchall()]


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
    """A block around the service's own, as a test's assertion often has it."""
    service = SessionService(db)
    async with db._get_connection() as conn:
        session = await service.create("shop", "alice")
        cursor = await conn.execute("SELECT user_id FROM sessions WHERE id = ?", (session,))
        row = await cursor.fetchone()
        assert row
        assert row["user_id"] == "alice"
        await asyncio.gather(*(service.append_event(session, n) for n in range(5)))
