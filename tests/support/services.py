"""Services as third parties write them, on top of `Database._get_connection()`.

They expect rows by name, `execute` and `commit`, and know nothing else about the database.
"""

import hashlib
import json
import sqlite3
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

import aiosqlite

from abathur_schema import Database


class SessionService:
    """Conversations; appending an event reads and writes the array in one transaction."""

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
                session = await self.get(row["id"])  # a nested block
                assert session
                found.append(session["id"])
        return found


class ConflictError(Exception):
    """Another writer got there first."""


class MemoryService:
    """Versioned memories; a writer names the version it last saw (optimistic locking)."""

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
    """Documents by path; their embeddings are added later."""

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
