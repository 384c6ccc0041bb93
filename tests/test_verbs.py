"""The verbs of `Database`: what they write and return, their audit rows, and what they refuse."""

import re
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest

from abathur_schema import AbathurError, Database, Document, Memory, Task
from abathur_schema.errors import UsageError
from tests.support.inserts import TASK, count

SESSION = "INSERT INTO sessions (id, app_name, user_id) VALUES ('s1', 'shop', 'alice')"
AGENT = (
    "INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)"
    " VALUES ('a1', 'a', 'x', 't1', 'idle', 'm', '2026-01-01')"
)


async def execute(db: Database, *statements: str, values: tuple[Any, ...] = ()) -> None:
    async with db.transaction() as conn:
        for statement in statements:
            await conn.execute(statement, values)


async def trail(db: Database) -> list[dict[str, Any]]:
    async with db.connection() as conn:
        rows = await conn.execute_fetchall("SELECT * FROM audit ORDER BY id")
        return [dict(row) for row in rows]


async def test_remember_adds_the_next_version(db: Database) -> None:
    first = await db.remember(
        "user:alice", "tea", {"kind": "green"}, metadata={"from": "chat"}, created_by="s1"
    )
    assert (first.version, first.value, first.memory_type) == (1, {"kind": "green"}, "semantic")
    assert (first.metadata, first.created_by, first.is_deleted) == ({"from": "chat"}, "s1", False)
    second = await db.remember("user:alice", "tea", "schwarz ☕", memory_type="episodic")
    assert (second.version, second.value, second.metadata) == (2, "schwarz ☕", {"from": "chat"})
    third = await db.remember("user:alice", "tea", None)
    assert (third.version, third.value, third.memory_type) == (3, None, "episodic")
    assert await db.recall("user:alice", "tea") == third
    assert await db.history("user:alice", "tea") == [third, second, first]
    assert await db.history("user:alice", "tea", limit=1) == [third]
    assert await db.recall("user:alice", "coffee") is None
    assert await db.recall("user:alic", "tea") is None
    assert await db.history("user:bob", "tea") == []


async def test_forget_marks_all_versions_and_keeps_the_history(db: Database) -> None:
    for value in (1, 2):
        await db.remember("user:alice", "tea", value)
    await db.remember("user:alice", "cup", 3)
    assert await db.forget("user:alice", "tea", updated_by="s1") == 2
    assert await db.recall("user:alice", "tea") is None
    history = await db.history("user:alice", "tea")
    assert [(one.version, one.is_deleted, one.updated_by) for one in history] == [
        (2, True, "s1"),
        (1, True, "s1"),
    ]
    assert await db.forget("user:alice", "tea") == 0
    assert await db.forget("user:alice", "nothing") == 0
    again = await db.remember("user:alice", "tea", 4)
    assert (again.version, (await db.recall("user:alice", "tea"))) == (3, again)
    recalled = await db.recall("user:alice", "cup")
    assert recalled
    assert recalled.value == 3
    operations = [one["memory_operation_type"] for one in await trail(db)]
    assert operations == ["create", "update", "create", "delete", "create"]


async def test_each_memory_operation_has_its_audit_row(db: Database) -> None:
    await execute(db, TASK.replace("?", "'t1'"), AGENT)
    memory = await db.remember("user:alice", "tea", 1, agent_id="a1", task_id="t1")
    await db.remember("user:alice", "tea", 2)
    first, second = await trail(db)
    assert first == {
        "id": first["id"],
        "timestamp": first["timestamp"],
        "agent_id": "a1",
        "task_id": "t1",
        "action_type": "memory_create",
        "action_data": '{"key": "tea", "version": 1}',
        "result": None,
        "memory_operation_type": "create",
        "memory_namespace": "user:alice",
        "memory_entry_id": memory.id,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", first["timestamp"])
    assert (second["agent_id"], second["task_id"]) == (None, None)
    assert second["memory_operation_type"] == "update"


async def test_append_event(db: Database) -> None:
    await execute(db, SESSION)
    assert await db.append_event("s1", {"text": "hello"}, state={"step": 1, "draft": "x"}) == 1
    assert await db.append_event("s1", "bye", state={"draft": None, "done": True}) == 2
    assert await db.append_event("s1", None) == 3
    async with db.connection() as conn:
        ((events, state),) = await conn.execute_fetchall("SELECT events, state FROM sessions")
    assert events == '[{"text":"hello"},"bye",null]'
    assert state == '{"step":1,"done":true}'
    assert [one["action_data"] for one in await trail(db)] == [
        f'{{"session_id": "s1", "number": {number}}}' for number in (1, 2, 3)
    ]


async def test_append_event_refuses_what_is_no_session(db: Database) -> None:
    with pytest.raises(UsageError, match="there is no session 's1'"):
        await db.append_event("s1", {})
    await execute(db, SESSION, "UPDATE sessions SET events = '{}'")
    with pytest.raises(UsageError, match="are not a JSON array"):
        await db.append_event("s1", {})
    assert await count(db, "audit") == 0


async def test_claim_task_takes_the_most_urgent_then_the_oldest(db: Database) -> None:
    task = (
        "INSERT INTO tasks (id, prompt, agent_type, priority, status, input_data, submitted_at,"
        " last_updated_at, dependencies) VALUES (?, 'do', ?, ?, ?, '{\"n\": 1}', ?, '', '[\"t0\"]')"
    )
    rows = [
        ("done", "general", 10, "completed", "2026-01-01"),
        ("old", "general", 5, "ready", "2026-01-01"),
        ("new", "general", 5, "ready", "2026-01-02"),
        ("urgent", "general", 9, "ready", "2026-01-03"),
        ("special", "research", 9, "ready", "2026-01-04"),
    ]
    for row in rows:
        await execute(db, task, values=row)
    claimed = [await db.claim_task() for _ in range(2)]
    assert [one.id for one in claimed if one] == ["urgent", "special"]
    assert await db.claim_task(agent_type="research") is None
    first = await db.claim_task(agent_type="general")
    second = await db.claim_task()
    assert first
    assert second
    assert (first.id, second.id, await db.claim_task()) == ("old", "new", None)
    assert (first.status, first.input_data, first.dependencies) == ("running", {"n": 1}, ["t0"])
    async with db.connection() as conn:
        left = await conn.execute_fetchall(
            "SELECT id FROM tasks WHERE status = 'running'"
            " AND started_at = last_updated_at AND started_at > '2026-01-05' ORDER BY id"
        )
    assert [id_ for (id_,) in left] == ["new", "old", "special", "urgent"]
    assert [(one["action_type"], one["task_id"]) for one in await trail(db)] == [
        ("task_claim", id_) for id_ in ("urgent", "special", "old", "new")
    ]


Act = Callable[[Database], Awaitable[object]]

REFUSED: dict[str, tuple[Act, str]] = {
    "namespace without a kind": (lambda db: db.remember("alice", "k", 1), "is not a namespace"),
    "empty part": (lambda db: db.remember("user::x", "k", 1), "is not a namespace"),
    "namespace in recall": (lambda db: db.recall("", "k"), "is not a namespace"),
    "namespace in forget": (lambda db: db.forget("user:", "k"), "is not a namespace"),
    "namespace in history": (lambda db: db.history("USER:a", "k"), "is not a namespace"),
    "namespace with NUL": (lambda db: db.remember("user:\0a", "k", 1), "without NUL"),
    "namespace that is not Unicode": (
        lambda db: db.forget("user:\ud800", "k"),
        "not valid Unicode",
    ),
    "such a namespace in search": (
        lambda db: db.search("x", namespace="user:\ud800"),
        "not valid Unicode",
    ),
    "path that is None": (
        lambda db: db.index_document(None, content="x"),  # type: ignore[arg-type]
        "path is None",
    ),
    "path of bytes": (
        lambda db: db.index_document(b"x", content="x"),  # type: ignore[arg-type]
        "path is b'x'",
    ),
    "empty key": (lambda db: db.remember("user:a", "", 1), "key is ''"),
    "key with NUL": (lambda db: db.recall("user:a", "a\0b"), "without NUL"),
    "key that is not Unicode": (lambda db: db.recall("user:a", "\ud800"), "not valid Unicode"),
    "value not JSON": (lambda db: db.remember("user:a", "k", {1, 2}), "value cannot be written"),
    "NaN": (lambda db: db.remember("user:a", "k", float("nan")), "value cannot be written"),
    "lone surrogate": (lambda db: db.remember("user:a", "k", "\ud800"), "value cannot be written"),
    "metadata": (
        lambda db: db.remember("user:a", "k", 1, metadata={"a": object()}),
        "metadata cannot be written",
    ),
    "state that is a list": (
        lambda db: db.append_event("s1", 1, state=[1]),  # type: ignore[arg-type]
        "state is [1]. Give a mapping",
    ),
    "state that is nothing": (
        lambda db: db.append_event("s1", 1, state=0),  # type: ignore[arg-type]
        "state is 0. Give a mapping",
    ),
    "metadata that is text": (
        lambda db: db.remember("user:a", "k", 1, metadata="x"),  # type: ignore[arg-type]
        "metadata is 'x'. Give a mapping",
    ),
    "metadata of a document": (
        lambda db: db.index_document("a", content="", metadata=[]),  # type: ignore[arg-type]
        "metadata is []. Give a mapping",
    ),
    "type": (
        lambda db: db.remember("user:a", "k", 1, memory_type="odd"),  # type: ignore[arg-type]
        "the database refuses it: CHECK constraint failed",
    ),
    "agent": (
        lambda db: db.remember("user:a", "k", 1, agent_id="nobody"),
        "Is there an agent 'nobody'?",
    ),
    "agent of a document": (
        lambda db: db.index_document("a", content="", agent_id="nobody"),
        "Is there an agent 'nobody'?",
    ),
    "history limit": (lambda db: db.history("user:a", "k", limit=0), "limit is 0"),
    "event": (lambda db: db.append_event("s1", b"bytes"), "event cannot be written"),
    "no session": (lambda db: db.append_event("", {}), "session_id is ''"),
    "no file": (lambda db: db.index_document("no/such/file.md"), "cannot be read: No such file"),
    "a folder": (lambda db: db.index_document("/"), "cannot be read: Is a directory"),
    "no path": (lambda db: db.index_document("", content=""), "path is ''"),
    "content": (
        lambda db: db.index_document("a", content=5),  # type: ignore[arg-type]
        "not the content of a document",
    ),
    "embedding alone": (
        lambda db: db.index_document("a", content="", embedding=[1]),
        "belong together",
    ),
    "model alone": (
        lambda db: db.index_document("a", content="", embedding_model="m"),
        "belong together",
    ),
    "wrong embedding": (
        lambda db: db.index_document("a", content="", embedding=[], embedding_model="m"),
        "the embedding is empty",
    ),
    "chunks": (
        lambda db: db.index_document("a", content="", chunk_count=0),
        "chunk_count is 0",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused_says_why_and_writes_nothing(db: Database, case: str) -> None:
    act, message = REFUSED[case]
    with pytest.raises(AbathurError, match=re.escape(message)):
        await act(db)
    for table in ("memory_entries", "audit", "document_index", "sessions"):
        assert await count(db, table) == 0


async def test_json_that_is_too_deep_for_sqlite_is_refused(db: Database) -> None:
    await execute(db, SESSION)
    deep: list[Any] = []
    for _ in range(2001):
        deep = [deep]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # up to Python 3.11 it also holds for writing JSON
    try:
        for more in ({"event": deep}, {"event": 1, "state": {"a": deep}}):
            with pytest.raises(UsageError, match=r"too deep\.|cannot be written"):
                await db.append_event("s1", **more)
    finally:
        sys.setrecursionlimit(limit)
    assert await count(db, "audit") == 0


async def test_verbs_are_not_for_within_a_transaction(db: Database) -> None:
    async with db.transaction():
        with pytest.raises(UsageError):
            await db.remember("user:a", "k", 1)
    assert (await db.remember("user:a", "k", 1)).version == 1


async def test_what_older_applications_left_can_be_read(file_db: Database) -> None:
    """A metadata that is NULL, and JSON that only SQLite's older versions accepted."""
    with closing(sqlite3.connect(file_db.path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(
            "INSERT INTO memory_entries (namespace, key, value, memory_type, metadata)"
            " VALUES ('user:a', 'k', 'no JSON', 'semantic', NULL)"
        )
    memory = await file_db.recall("user:a", "k")
    assert memory
    assert (memory.value, memory.metadata) == ("no JSON", None)
    assert (await file_db.remember("user:a", "k", 1)).version == 2


async def test_types_are_those_of_the_caller(db: Database) -> None:
    """What mypy in strict mode says of these names, it says of a caller's."""
    memory: Memory | None = await db.recall("user:a", "k")
    task: Task | None = await db.claim_task(agent_type="general")
    document: Document = await db.index_document("a.md", content="")
    number: int = await db.forget("user:a", "k")
    assert (memory, task, document.title, number) == (None, None, "a.md", 0)
