"""The verbs on a cluster: each first reads, then writes one batch with its row of the audit trail.

The row of the trail is the receipt. It has a number of its own: when the answer to a batch is lost,
the next attempt looks for it, and counts on its absence. So of all attempts one takes place, and
the receipt says what it did.
"""

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import uuid4

import aiosqlite

from ..errors import ConflictError, UnknownOutcomeError, UsageError
from .connection import in_its_thread
from .indexing import Given, decide
from .queries import query, write
from .records import Document, Memory, Task, as_json, record
from .trail import By, trail

T = TypeVar("T")

Receipt = Mapping[str, Any]
"""What a batch did, as in the audit trail."""

ATTEMPTS = 50
"""How often a batch is written anew because somebody else was faster."""

PAUSE = 0.02
"""The seconds to wait at most before that, times the number of attempts so far."""


class Signed(NamedTuple):
    """Who acts, and the number of the batch."""

    by: By
    batch: str


@dataclass(frozen=True)
class Verb(Generic[T]):
    """`write` reads and writes in a transaction, and returns the receipt, or None if there is
    nothing to do; `result` reads what came of it.
    """

    write: Callable[[sqlite3.Connection, Signed], Receipt | None]
    result: Callable[[sqlite3.Connection, Receipt | None], T]


Transaction = Callable[[], AbstractAsyncContextManager[aiosqlite.Connection]]


async def carried_out(verb: Verb[T], by: By, transaction: Transaction) -> T:
    """Write a batch, again where somebody else was faster, and return its result.

    Raises ConflictError when somebody always is, and what else the cluster raises.
    """
    signed = Signed(by, uuid4().hex)
    began = datetime.now(timezone.utc) - timedelta(seconds=1)
    is_unsure = False

    def attempt(connection: sqlite3.Connection) -> Receipt | None:
        found = _receipt(connection, signed.batch, began) if is_unsure else None
        return found or verb.write(connection, signed)

    for number in range(1, ATTEMPTS + 1):
        try:
            async with transaction() as conn:
                receipt = await in_its_thread(conn, attempt)
            if receipt is None and is_unsure:  # nothing to do: because it took place just now?
                async with transaction() as conn:
                    receipt = await in_its_thread(conn, _receipt, signed.batch, began)
            break
        except (ConflictError, UnknownOutcomeError) as error:
            if number == ATTEMPTS:
                raise
            is_unsure = is_unsure or isinstance(error, UnknownOutcomeError)
        await asyncio.sleep(random.uniform(0, PAUSE * number))
    async with transaction() as conn:
        return await in_its_thread(conn, verb.result, receipt)


def _receipt(connection: sqlite3.Connection, batch: str, began: datetime) -> Receipt | None:
    """What a batch did, if it took place. In a transaction its absence is a condition."""
    found = connection.execute(
        "SELECT action_data FROM audit WHERE timestamp >= ? AND instr(action_data, ?)",
        (f"{began:%Y-%m-%dT%H:%M:%S}", batch),
    ).fetchone()
    return json.loads(found["action_data"]) if found else None


def remember(name: Mapping[str, str], values: Mapping[str, Any]) -> Verb[Memory]:
    """Add the next version of a memory; what `values` leave out is as in the version before."""

    def add(connection: sqlite3.Connection, signed: Signed) -> Receipt:
        before = _last(connection, name)
        version = before["version"] + 1 if before else 1
        kept = {
            "memory_type": before["memory_type"] if before else "semantic",
            "metadata": (before and before["metadata"]) or "{}",
        }
        given = {key: value for key, value in values.items() if value is not None}
        row = {"created_by": None, **kept, **given, **name, "version": version}
        write("remember").execute(connection, **row)
        is_new = before is None or before["is_deleted"]
        return _trail_of(connection, signed, "create" if is_new else "update", name, version)

    def added(connection: sqlite3.Connection, receipt: Receipt | None) -> Memory:
        assert receipt
        version = {**name, "version": receipt["version"]}
        row = query("version-of-a-memory").execute(connection, **version).fetchone()
        if row is None:
            raise UsageError(f"{version} was added, and somebody has removed it since.")
        return record(Memory, row)

    return Verb(add, added)


def forget(name: Mapping[str, str], updated_by: str | None) -> Verb[int]:
    """Mark all versions of a memory as deleted."""

    def mark(connection: sqlite3.Connection, signed: Signed) -> Receipt | None:
        last = _last(connection, name)
        (number,) = query("versions-not-forgotten").execute(connection, **name).fetchone()
        if not number or not last:
            return None
        write("forget").execute(connection, **name, updated_by=updated_by)
        return _trail_of(connection, signed, "delete", name, last["version"], number=number)

    return Verb(mark, lambda _, receipt: int(receipt["number"]) if receipt else 0)


def append_event(values: Mapping[str, Any]) -> Verb[int]:
    """Append an event to a session. Raises UsageError when there is none, or none of arrays."""
    session = values["session_id"]

    def append(connection: sqlite3.Connection, signed: Signed) -> Receipt:
        found = query("events-of-a-session").execute(connection, session_id=session).fetchone()
        if not found:
            raise UsageError(f"there is no session {session!r}. Add it to sessions first.")
        if found["number"] is None:
            raise UsageError(f"the events of session {session!r} are not a JSON array.")
        write("append-event").execute(connection, **values)
        number = int(found["number"]) + 1
        data = {"session_id": session, "number": number, "batch": signed.batch}
        trail(connection, signed.by, "session_append_event", data)
        return data

    return Verb(append, lambda _, receipt: int(receipt["number"]) if receipt else 0)


def claim_task(agent_type: str | None) -> Verb[Task | None]:
    """Claim the next task that is ready."""

    def claim(connection: sqlite3.Connection, signed: Signed) -> Receipt | None:
        found = query("task-to-claim").execute(connection, agent_type=agent_type).fetchone()
        if not found:
            return None
        write("start-task").execute(connection, id=found["id"])
        data = {"task_id": found["id"], "batch": signed.batch}
        trail(connection, signed.by._replace(task_id=found["id"]), "task_claim", data)
        return data

    def claimed(connection: sqlite3.Connection, receipt: Receipt | None) -> Task | None:
        if receipt is None:
            return None
        row = query("task-by-id").execute(connection, id=receipt["task_id"]).fetchone()
        if row is None:
            raise UsageError(f"task {receipt['task_id']!r} was claimed, and is gone since.")
        return record(Task, row)

    return Verb(claim, claimed)


def index_document(given: Given) -> Verb[Document]:
    """Write the row of a document where it changes."""

    def index(connection: sqlite3.Connection, signed: Signed) -> Receipt | None:
        _, values = decide(connection, given)
        if not values:
            return None
        write("index-document").execute(connection, **values)
        data = {name: values[name] for name in ("file_path", "content_hash", "sync_status")}
        trail(connection, signed.by, "document_index", {**data, "batch": signed.batch})
        return data

    def indexed(connection: sqlite3.Connection, _: Receipt | None) -> Document:
        at_path = query("document-at-a-path").execute(connection, file_path=given.path)
        row = at_path.fetchone()
        if row is None:
            raise UsageError(f"{given.path!r} was indexed, and somebody has removed it since.")
        return record(Document, row)

    return Verb(index, indexed)


def _last(connection: sqlite3.Connection, name: Mapping[str, str]) -> sqlite3.Row | None:
    """The newest version of a memory, without its value: a transaction counts on what it reads."""
    versions = query("versions-of-a-memory").sql.rstrip(";")
    found = connection.execute(
        f"SELECT version, is_deleted, memory_type, metadata FROM ({versions})", {**name, "limit": 1}
    )
    row: sqlite3.Row | None = found.fetchone()
    return row


def _trail_of(
    connection: sqlite3.Connection,
    signed: Signed,
    operation: str,
    name: Mapping[str, str],
    version: int,
    **more: Any,
) -> Receipt:
    """Write the row of what was done to a memory, whose id is not known yet."""
    data = {"key": name["key"], "version": version, **more, "batch": signed.batch}
    write("record-memory-action").execute(
        connection,
        **signed.by._asdict(),
        action_type=f"memory_{operation}",
        action_data=as_json("action_data", data),
        memory_operation_type=operation,
        memory_namespace=name["namespace"],
        key=name["key"],
        version=version,
    )
    return data
