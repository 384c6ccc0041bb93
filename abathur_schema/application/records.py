"""Memories and documents as values, as the queries of `checks/plans/` return them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError

if TYPE_CHECKING:
    import sqlite3

R = TypeVar("R", "Memory", "Document", "Task")

NAMESPACE = re.compile(r"(project|app|user|session|temp)(:[^:]+)*")
"""A path of parts separated by colons that begins with one of the five kinds."""


JSON = {"value", "metadata", "input_data", "dependencies"}
"""The fields that hold JSON."""


@dataclass(frozen=True)
class Memory:
    """One version of a memory. `value` and `metadata` are what their JSON says; times are text, in
    UTC, as SQLite's CURRENT_TIMESTAMP writes them.
    """

    id: int
    namespace: str
    key: str
    value: Any
    memory_type: str
    version: int
    is_deleted: bool
    metadata: Any
    created_by: str | None
    updated_by: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Document:
    """A row of `document_index` without its embedding. `metadata` is what its JSON says. `distance`
    is the cosine distance to the embedding that was searched for, 0 to 2; otherwise None.
    """

    id: int
    file_path: str
    title: str
    document_type: str | None
    content_hash: str
    chunk_count: int | None
    embedding_model: str | None
    metadata: Any
    last_synced_at: str | None
    sync_status: str | None
    created_at: str
    updated_at: str
    distance: float | None = None


@dataclass(frozen=True)
class Task:
    """A task that a worker has claimed. `input_data` and `dependencies` are what their JSON says;
    the timeout is in seconds.
    """

    id: str
    prompt: str
    agent_type: str
    priority: int
    status: str
    input_data: Any
    retry_count: int | None
    max_retries: int | None
    max_execution_timeout_seconds: int | None
    submitted_at: str
    started_at: str
    parent_task_id: str | None
    dependencies: Any
    session_id: str | None


def record(kind: type[R], row: "sqlite3.Row", **more: Any) -> R:
    """The record of a row with its columns, and the fields in `more`."""
    names = {field.name for field in fields(kind)} - more.keys()
    values: dict[str, Any] = {name: row[name] for name in row.keys() if name in names}  # noqa: SIM118
    for name in JSON & values.keys():
        values[name] = _from_json(values[name])
    if "is_deleted" in values:
        values["is_deleted"] = bool(values["is_deleted"])
    return kind(**values, **more)


def as_json(name: str, value: Any) -> str:
    """The JSON text of a value. Raises UsageError when it has none, NaN and infinity included."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode().decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{name} cannot be written as JSON: {error}.") from error


def as_object(name: str, value: Mapping[str, Any] | None) -> str | None:
    """The JSON text of a mapping; None for None. Raises UsageError when it is none, or has none."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise UsageError(f"{name} is {value!r}. Give a mapping, such as a dict, or None.")
    return as_json(name, dict(value))


def _from_json(text: Any) -> Any:
    """What a text says; the text itself where an older application has left what is no JSON."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text


def check_namespace(namespace: str) -> None:
    """Raise UsageError unless this is a namespace, and text that SQLite can store."""
    if not isinstance(namespace, str) or not NAMESPACE.fullmatch(namespace):
        raise UsageError(
            f"{namespace!r} is not a namespace. It begins with project:, app:, user:, session: or"
            " temp:, and its parts, none of them empty, are separated by colons:"
            " user:alice:preferences."
        )
    check_texts({"namespace": namespace}, {})


def check_limit(limit: int, name: str = "limit") -> None:
    """Raise UsageError unless this is a number of results, or of something else."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit < 1 << 63:
        raise UsageError(f"{name} is {limit!r}. Give a whole number, at least 1.")


def check_texts(required: Mapping[str, object], optional: Mapping[str, object]) -> None:
    """Raise UsageError unless each value is text that SQLite can store, not empty; an optional one
    may be None.
    """
    for name, value in [*required.items(), *optional.items()]:
        if value is None and name in optional:
            continue
        if not isinstance(value, str) or not value or "\0" in value:
            raise UsageError(f"{name} is {value!r}. Give text, not empty and without NUL.")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{name} is {value!r}, which is not valid Unicode.") from error
