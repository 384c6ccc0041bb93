"""The audit trail of the verbs, one row for each, in its transaction."""

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

from .queries import query, write
from .records import Memory, as_json


class By(NamedTuple):
    """Who acts, for the audit trail: an agent, which exists, and its task; each may be None."""

    agent_id: str | None
    task_id: str | None


def last_version(connection: sqlite3.Connection, namespace: str, key: str) -> sqlite3.Row | None:
    """The row of the newest version of a memory, if there is one."""
    versions = query("versions-of-a-memory")
    found = versions.execute(connection, namespace=namespace, key=key, limit=1)
    row: sqlite3.Row | None = found.fetchone()
    return row


def trail_of(connection: sqlite3.Connection, by: By, operation: str, memory: Memory) -> None:
    """Write the row of what was done to a memory."""
    data = {"key": memory.key, "version": memory.version}
    trail(
        connection,
        by,
        f"memory_{operation}",
        data,
        memory_operation_type=operation,
        memory_namespace=memory.namespace,
        memory_entry_id=memory.id,
    )


def trail(
    connection: sqlite3.Connection,
    by: By,
    action: str,
    data: Mapping[str, Any] | None,
    **memory: Any,
) -> None:
    """Write the row of an action in the audit trail."""
    columns = ("memory_operation_type", "memory_namespace", "memory_entry_id")
    write("record-action").execute(
        connection,
        **by._asdict(),
        action_type=action,
        action_data=None if data is None else as_json("action_data", data),
        **{**dict.fromkeys(columns), **memory},
    )
