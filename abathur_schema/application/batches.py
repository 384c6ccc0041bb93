"""The verbs on a cluster: each first reads, then writes one batch with its row of the audit trail.

The row of the trail is the receipt: it has a number of its own, by which a batch whose answer was
lost is found, or not, before it is sent again. What a batch has read, and changes, is a condition
of it, so the same batch sent twice takes place once.
"""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import aiosqlite

from ..errors import ConflictError, UnknownOutcomeError, UsageError
from .connection import in_its_thread
from .indexing import Given, decide
from .queries import query, write
from .records import Document, Memory, Task, as_json, record

T = TypeVar("T")
After = Callable[[sqlite3.Connection], T]
"""Reads the result of a batch once it is committed."""

ATTEMPTS = 50
"""How often a batch is written anew because somebody else was faster."""

PAUSE = 0.02
"""The seconds to wait at most before that, times the number of attempts so far."""


class Signed(NamedTuple):
    """Who acts, for the audit trail, and the number of the batch."""

    agent_id: str | None
    task_id: str | None
    batch: str


Batch = Callable[[sqlite3.Connection, Signed], After[T]]


async def carried_out(
    batch: Batch[T],
    by: Signed,
    transaction: Callable[[], AbstractAsyncContextManager[aiosqlite.Connection]],
    connection: Callable[[], AbstractAsyncContextManager[aiosqlite.Connection]],
) -> T:
    """Write a batch, again where somebody else was faster, and return its result.

    Raises ConflictError when somebody always is, and what else the cluster raises.
    """
    began = datetime.now(timezone.utc) - timedelta(seconds=1)
    after: After[T] | None = None
    is_unsure = False
    for attempt in range(ATTEMPTS):
        try:
            async with transaction() as conn:
                after = await in_its_thread(conn, batch, by)
            break
        except UnknownOutcomeError:
            is_unsure = True
        except ConflictError:
            if attempt + 1 == ATTEMPTS:
                raise
        if is_unsure and await _is_received(by, began, connection):
            break
        await asyncio.sleep(random.uniform(0, PAUSE * (attempt + 1)))
    assert after
    async with connection() as conn:
        return await in_its_thread(conn, after)


def signed(agent_id: str | None, task_id: str | None) -> Signed:
    """Who acts, with a new number."""
    return Signed(agent_id, task_id, uuid4().hex)


async def _is_received(
    by: Signed,
    began: datetime,
    connection: Callable[[], AbstractAsyncContextManager[aiosqlite.Connection]],
) -> bool:
    """Whether a batch is in the trail."""
    async with connection() as conn:
        rows = await conn.execute_fetchall(
            "SELECT action_data FROM audit WHERE timestamp >= ?", (f"{began:%Y-%m-%dT%H:%M:%S}",)
        )
    return any(by.batch in str(data) for (data,) in rows)


def remember(
    connection: sqlite3.Connection, by: Signed, name: Mapping[str, str], values: Mapping[str, Any]
) -> After[Memory]:
    """Add the next version of a memory; what `values` leave out is as in the version before."""
    before = _last(connection, name)
    version = before["version"] + 1 if before else 1
    kept = {
        "memory_type": before["memory_type"] if before else "semantic",
        "metadata": (before and before["metadata"]) or "{}",
    }
    given = {key: value for key, value in values.items() if value is not None}
    write("remember").execute(
        connection, **{"created_by": None, **kept, **given, **name}, version=version
    )
    is_new = before is None or before["is_deleted"]
    _trail_of(connection, by, "create" if is_new else "update", {**name, "version": version})

    def added(connection: sqlite3.Connection) -> Memory:
        rows = query("versions-of-a-memory").execute(connection, **name, limit=ATTEMPTS)
        return next(record(Memory, row) for row in rows if row["version"] == version)

    return added


def forget(
    connection: sqlite3.Connection, by: Signed, name: Mapping[str, str], updated_by: str | None
) -> After[int]:
    """Mark all versions of a memory as deleted."""
    last = _last(connection, name)
    (number,) = query("versions-not-forgotten").execute(connection, **name).fetchone()
    if number and last:
        write("forget").execute(connection, **name, updated_by=updated_by)
        _trail_of(connection, by, "delete", {**name, "version": last["version"]})
    return lambda _: int(number)


def append_event(
    connection: sqlite3.Connection, by: Signed, values: Mapping[str, Any]
) -> After[int]:
    """Append an event to a session. Raises UsageError when there is none, or none of arrays."""
    session = values["session_id"]
    found = query("events-of-a-session").execute(connection, session_id=session).fetchone()
    if not found:
        raise UsageError(f"there is no session {session!r}. Add it to sessions first.")
    if found["number"] is None:
        raise UsageError(f"the events of session {session!r} are not a JSON array.")
    number = int(found["number"]) + 1
    write("append-event").execute(connection, **values)
    _trail(connection, by, "session_append_event", {"session_id": session, "number": number})
    return lambda _: number


def claim_task(
    connection: sqlite3.Connection, by: Signed, agent_type: str | None
) -> After[Task | None]:
    """Claim the next task that is ready."""
    found = query("task-to-claim").execute(connection, agent_type=agent_type).fetchone()
    if not found:
        return lambda _: None
    write("start-task").execute(connection, id=found["id"])
    _trail(connection, by._replace(task_id=found["id"]), "task_claim", {})

    def claimed(connection: sqlite3.Connection) -> Task:
        return record(Task, query("task-by-id").execute(connection, id=found["id"]).fetchone())

    return claimed


def index_document(connection: sqlite3.Connection, by: Signed, given: Given) -> After[Document]:
    """Write the row of a document where it changes."""
    _, values = decide(connection, given)
    if values:
        write("index-document").execute(connection, **values)
        names = ("file_path", "content_hash", "sync_status")
        _trail(connection, by, "document_index", {name: values[name] for name in names})

    def indexed(connection: sqlite3.Connection) -> Document:
        at_path = query("document-at-a-path").execute(connection, file_path=given.path)
        return record(Document, at_path.fetchone())

    return indexed


def _last(connection: sqlite3.Connection, name: Mapping[str, str]) -> sqlite3.Row | None:
    found = query("versions-of-a-memory").execute(connection, **name, limit=1)
    row: sqlite3.Row | None = found.fetchone()
    return row


def _trail_of(
    connection: sqlite3.Connection, by: Signed, operation: str, memory: Mapping[str, Any]
) -> None:
    data = {"key": memory["key"], "version": memory["version"], "batch": by.batch}
    write("record-memory-action").execute(
        connection,
        agent_id=by.agent_id,
        task_id=by.task_id,
        action_type=f"memory_{operation}",
        action_data=as_json("action_data", data),
        memory_operation_type=operation,
        memory_namespace=memory["namespace"],
        key=memory["key"],
        version=memory["version"],
    )


def _trail(
    connection: sqlite3.Connection, by: Signed, action: str, data: Mapping[str, Any]
) -> None:
    columns = ("memory_operation_type", "memory_namespace", "memory_entry_id")
    write("record-action").execute(
        connection,
        agent_id=by.agent_id,
        task_id=by.task_id,
        action_type=action,
        action_data=as_json("action_data", {**data, "batch": by.batch}),
        **dict.fromkeys(columns),
    )
