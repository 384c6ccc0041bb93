"""The verbs of an application: each one transaction, with its row in the audit trail."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiosqlite

from ..errors import UsageError
from ..place import Address, Place
from . import batches
from .connection import in_its_thread
from .embedding import Embedding, packed
from .indexing import Given, content_of, index
from .queries import query, write
from .records import (
    Document,
    Memory,
    Task,
    as_json,
    as_object,
    check_limit,
    check_namespace,
    check_texts,
    record,
)
from .trail import By, last_version, trail, trail_of

T = TypeVar("T")

MemoryType = Literal["semantic", "episodic", "procedural"]


class Remembering:
    """What `Database` can do with memories, sessions, tasks and documents.

    All verbs that write take `agent_id` and `task_id` for the audit trail. They raise UsageError
    when an argument is wrong, when there is no such agent, when the database has a constraint that
    refuses the values, and within `transaction()`, which has the write lock already.
    """

    place: Place

    # `Database` has these; no ABC, whose metaclass would be a demand on the other bases of a class.

    def connection(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """A connection for the block."""
        raise NotImplementedError

    def transaction(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """A connection in a transaction."""
        raise NotImplementedError

    async def remember(
        self,
        namespace: str,
        key: str,
        value: Any,
        *,
        memory_type: MemoryType | None = None,
        metadata: Mapping[str, Any] | None = None,
        created_by: str | None = None,
        agent_id: str | None = None,
        task_id: str | None = None,
    ) -> Memory:
        """Add the next version of a memory, and return it. `value` is what JSON can express.

        `memory_type` and `metadata` are by default those of the version before, or `semantic` and
        empty. `created_by` names a session or an agent.
        """
        check_namespace(namespace)
        check_texts({"key": key}, {"memory_type": memory_type, "created_by": created_by})
        text = as_json("value", value)
        extra = as_object("metadata", metadata)

        def add(connection: sqlite3.Connection, by: By) -> Memory:
            before = last_version(connection, namespace, key)
            (row,) = write("remember").execute(
                connection,
                namespace=namespace,
                key=key,
                value=text,
                version=before["version"] + 1 if before else 1,
                memory_type=memory_type or (before["memory_type"] if before else "semantic"),
                metadata=extra or (before and before["metadata"]) or "{}",
                created_by=created_by,
            )
            memory = record(Memory, row)
            is_new = before is None or before["is_deleted"]
            trail_of(connection, by, "create" if is_new else "update", memory)
            return memory

        name = {"namespace": namespace, "key": key}
        values = {"value": text, "metadata": extra, "memory_type": memory_type}
        batch = batches.remember(name, {**values, "created_by": created_by})
        return await self._write(add, By(agent_id, task_id), batch)

    async def recall(self, namespace: str, key: str) -> Memory | None:
        """The current version of a memory; None if there is none, or if it was forgotten."""
        check_namespace(namespace)
        check_texts({"key": key}, {})
        async with self.connection() as conn:
            current = query("current-memory").execute(conn, namespace=namespace, key=key)
            row = await (await current).fetchone()
            return record(Memory, row) if row else None

    async def forget(
        self,
        namespace: str,
        key: str,
        *,
        updated_by: str | None = None,
        agent_id: str | None = None,
        task_id: str | None = None,
    ) -> int:
        """Forget all versions of a memory: they are marked as deleted, and stay in its history.
        Returns how many were not forgotten yet; with 0, nothing is written.
        """
        check_namespace(namespace)
        check_texts({"key": key}, {"updated_by": updated_by})

        def mark(connection: sqlite3.Connection, by: By) -> int:
            last = last_version(connection, namespace, key)
            names = {"namespace": namespace, "key": key, "updated_by": updated_by}
            marked = write("forget").execute(connection, **names).rowcount
            if last and marked:
                trail_of(connection, by, "delete", record(Memory, last))
            return marked

        name = {"namespace": namespace, "key": key}
        batch = batches.forget(name, updated_by)
        return await self._write(mark, By(agent_id, task_id), batch)

    async def history(self, namespace: str, key: str, *, limit: int = 100) -> list[Memory]:
        """The versions of a memory, newest first, forgotten ones included."""
        check_namespace(namespace)
        check_texts({"key": key}, {})
        check_limit(limit)
        async with self.connection() as conn:
            versions = query("versions-of-a-memory")
            found = versions.execute(conn, namespace=namespace, key=key, limit=limit)
            return [record(Memory, row) for row in await (await found).fetchall()]

    async def append_event(
        self,
        session_id: str,
        event: Any,
        *,
        state: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        task_id: str | None = None,
    ) -> int:
        """Append an event, which is what JSON can express, to a session; returns how many it has
        now. `state` is merged into the state of the session (RFC 7396, "JSON Merge Patch": None
        removes a key).

        Raises UsageError also when there is no such session, and when its events are not an array.
        """
        check_texts({"session_id": session_id}, {})
        values = {
            "session_id": session_id,
            "event": as_json("event", event),
            "state": as_object("state", state),
        }

        def append(connection: sqlite3.Connection, by: By) -> int:
            rows = write("append-event").execute(connection, **values).fetchall()
            if not rows:
                raise UsageError(f"there is no session {session_id!r}. Add it to sessions first.")
            ((number,),) = rows
            if not number:
                raise UsageError(f"the events of session {session_id!r} are not a JSON array.")
            data = {"session_id": session_id, "number": number}
            trail(connection, by, "session_append_event", data)
            return int(number)

        batch = batches.append_event(values)
        return await self._write(append, By(agent_id, task_id), batch)

    async def claim_task(
        self, *, agent_type: str | None = None, agent_id: str | None = None
    ) -> Task | None:
        """Claim the next task: the most urgent of those that are `ready`, then the oldest; of one
        `agent_type`, or of any. It is `running` from now on, and nobody else gets it. None if no
        task is ready.
        """
        check_texts({}, {"agent_type": agent_type})

        def claim(connection: sqlite3.Connection, by: By) -> Task | None:
            rows = write("claim-task").execute(connection, agent_type=agent_type).fetchall()
            if not rows:
                return None
            task = record(Task, rows[0])
            trail(connection, by._replace(task_id=task.id), "task_claim", None)
            return task

        batch = batches.claim_task(agent_type)
        return await self._write(claim, By(agent_id, None), batch)

    async def index_document(
        self,
        path: str | Path,
        *,
        content: str | bytes | None = None,
        title: str | None = None,
        document_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        chunk_count: int | None = None,
        embedding: Embedding | None = None,
        embedding_model: str | None = None,
        agent_id: str | None = None,
        task_id: str | None = None,
    ) -> Document:
        """Add the document at a path to the index, or bring it up to date, by the SHA-256 of its
        content, which is read from the file unless it is given; text counts as UTF-8. Nothing is
        written where nothing has changed.

        By default `title` is the first `# heading` or the name of the file, and what else is not
        given stays as it is. `sync_status` of the result tells whether an `embedding` is missing:
        `pending`, if the document never had one; `stale`, if its content has changed since, and the
        old one is kept; `synced` otherwise, also if the same content has one at another path. Then
        call again with the embedding (as for `nearest_documents`) and the name of its model.
        """
        if (embedding is None) != (embedding_model is None):
            raise UsageError("embedding and embedding_model belong together. Give both or neither.")
        texts = {"title": title, "document_type": document_type, "embedding_model": embedding_model}
        path = os.fspath(path) if isinstance(path, os.PathLike) else path
        check_texts({"path": path}, texts)
        if chunk_count is not None:
            check_limit(chunk_count, "chunk_count")
        given = Given(
            path,
            await asyncio.to_thread(content_of, path, content),
            title,
            document_type,
            as_object("metadata", metadata),
            chunk_count,
            None if embedding is None else packed(embedding),
            embedding_model,
        )

        def add(connection: sqlite3.Connection, by: By) -> Document:
            row, is_changed = index(connection, given)
            document = record(Document, row)
            if is_changed:
                columns = ("id", "file_path", "content_hash", "sync_status")
                data = {column: getattr(document, column) for column in columns}
                trail(connection, by, "document_index", data)
            return document

        batch = batches.index_document(given)
        return await self._write(add, By(agent_id, task_id), batch)

    async def _write(
        self, act: Callable[[sqlite3.Connection, By], T], by: By, verb: "batches.Verb[T]"
    ) -> T:
        """Run `act` in a transaction, on a cluster `verb` instead."""
        check_texts({}, by._asdict())
        try:
            if isinstance(self.place, Address):
                return await batches.carried_out(verb, by, self.transaction)
            async with self.transaction() as conn:
                return await in_its_thread(conn, act, by)
        except sqlite3.IntegrityError as error:
            is_agent = by.agent_id and "FOREIGN KEY" in str(error)
            known = f" Is there an agent {by.agent_id!r}?" if is_agent else ""
            raise UsageError(f"the database refuses it: {error}.{known}") from error
        except sqlite3.OperationalError as error:
            if "malformed JSON" not in str(error):
                raise
            # It was written by Python: SQLite reads JSON that is nested less deeply only.
            raise UsageError(f"the database refuses it: {error}, or too deep.") from error
