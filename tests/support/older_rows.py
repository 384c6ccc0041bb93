"""Rows of every kind that SQLite accepts, inserted as the older applications did."""

import random
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice
from typing import Any

from tests.support.older_applications import APPLICATIONS

Values = tuple[Any, ...]

# SQLite stores any value as it is, unless the affinity of the column converts it: an INTEGER column
# can hold text and blobs, and a TEXT column can hold blobs.
TEXTS: Values = (
    *("", " ", "naïve 日本語 🐝", "a\0b", "\0", "it's", 'say "no"', "line\nline\r\n\t"),
    *("NULL", "x" * 300, "é", "e\u0301", 42, 0.1, b"\x00\xff\xfe"),
)
JSON: Values = (
    *("{}", "[]", "null", '{"a": [1, 2.50, "\\u0000"], "b": {"c": null}}', "not { json", ""),
    *["{" + ", ".join(f'"key {number}": "value {number}"' for number in range(4)) + "}"] * 2,
)
COUNTS: Values = (
    *(0, 1, 3, 5, 10, -1, 2**63 - 1, -(2**63), 2**53 + 1),
    *(0.1, -0.0, 1e308, float("inf"), -float("inf"), 5e-324),
    *("soon", "", "7", " 8 ", "0x10", b"\x01\x02"),
)
REALS: Values = (
    *(0, 1, 2**53 + 1, 2**63 - 1, 0.1, -0.0, 1 / 3, 1e-7, 5e-324, 1e308, float("inf")),
    *("n/a", "12.5", b"\x00"),
)
TIMES: Values = (
    *("2024-03-01T12:00:00Z", "2024-03-02 08:30:00", "2024-03-03T23:59:59.999999+02:00"),
    *("2023-12-31T23:59:60Z", 1709294400, 2460370.5, "", "yesterday"),
)
STATUSES: Values = ("ready", "running", "running", "completed", "completed", "failed", "Done", "")

POOLS: Mapping[str, tuple[Values, int]] = {
    "template_name": (("write", "review the code", "plan", *TEXTS), 41),
    "prompt": (("Write a test", "Review the code", "Plan", *TEXTS), 41),
    "agent_type": (("general", "reviewer", *TEXTS), 43),
    "priority": ((5, 5, 5, *COUNTS), 47),
    "status": (STATUSES, 13),
    "input_data": (JSON, 17),
    "result_data": ((None, *JSON), 19),
    "error_message": ((None, None, None, *TEXTS), 53),
    "retry_count": ((None, *COUNTS), 59),
    "max_retries": ((None, *COUNTS), 61),
    "max_execution_timeout_seconds": ((3600, None, *COUNTS), 67),
    "submitted_at": (TIMES, 11),
    "started_at": ((None, None, *TIMES), 23),
    "completed_at": ((None, None, None, *TIMES), 29),
    "last_updated_at": (TIMES, 31),
    "created_by": ((None, "user", *TEXTS), 71),
    "dependencies": ((None, *JSON), 37),
    "name": (("writer", *TEXTS), 41),
    "specialization": (("python", *TEXTS), 43),
    "state": (STATUSES, 47),
    "model": (("large", "small", *TEXTS), 53),
    "spawned_at": (TIMES, 11),
    "terminated_at": ((None, *TIMES), 13),
    "resource_usage": ((None, *JSON), 17),
    "key": (("result", *TEXTS), 19),
    "value": (JSON, 23),
    "created_at": (TIMES, 29),
    "updated_at": (TIMES, 31),
    "timestamp": (TIMES, 37),
    "action_type": (("started", "finished", *TEXTS), 41),
    "action_data": ((None, *JSON), 43),
    "result": ((None, None, "ok", *TEXTS), 47),
    "metric_name": (("duration", "tokens", *TEXTS), 53),
    "metric_value": (REALS, 59),
    "labels": ((None, *JSON), 61),
}
"""The values of each column, and the number of rows after which they repeat: a prime, so that the
values of different columns occur in all combinations."""

ITERATIONS = (0, 1, 2, -1, 2**62, "last", 2.5, b"\x00", 7)
"""A multiple of three, all different: any three consecutive rows may belong to one task."""


def fill(
    connection: sqlite3.Connection,
    generation: int,
    *,
    tasks: int = 60,
    audit: int = 120,
    seed: int = 0,
) -> None:
    """Add rows to all six tables with the INSERTs of a generation, in one transaction.

    Adds at least 20 tasks, and a quarter as many rows to every other table except audit; no foreign
    key is violated. A database can be filled again with another seed. A few rows are deleted again,
    leaving gaps, and AUTOINCREMENT counters above any id.
    """
    application = APPLICATIONS[generation]
    some = random.Random(seed)
    pools = {column: _pool(values, length, some) for column, (values, length) in POOLS.items()}
    ids = [*_odd_ids(seed), *_ids(some, tasks)][: max(tasks, 20)]
    agents = list(_ids(some, max(tasks // 4, 5)))
    number = max(len(ids) // 4, 12)
    referenced = ids[: len(ids) * 3 // 4]
    columns: Mapping[str, Mapping[str, Iterable[Any]]] = {
        # Of every ten, nine form a chain, each the parent of the next; the tenth stands alone.
        "tasks": {
            "id": ids,
            "parent_task_id": (ids[at - 1] if 0 < at % 10 < 9 else None for at in range(len(ids))),
        },
        "agents": {"id": agents, "task_id": cycle(referenced)},
        "state": {"task_id": referenced[:number]},
        "audit": {
            "task_id": islice(cycle(referenced), audit),
            "agent_id": cycle([None, *agents]),
        },
        "metrics": {"metric_value": islice(cycle(pools["metric_value"]), number)},
        "checkpoints": {
            "task_id": (referenced[at // 3] for at in range(number)),
            "iteration": cycle(ITERATIONS),
        },
    }
    newest = {table: _newest(connection, table) for table in columns}
    connection.execute("BEGIN")
    with connection:
        for table, own in columns.items():
            rows = zip(
                *(own.get(name) or cycle(pools[name]) for name in application.columns(table)),
                strict=False,
            )
            application.insert_many(connection, table, rows)
        _leave_marks(connection, newest, seed)


def _pool(values: Values, length: int, some: random.Random) -> list[Any]:
    """Return all values, some of them repeated, in random order."""
    pool = [*values, *some.choices(values, k=length - len(values))]
    some.shuffle(pool)
    return pool


def _ids(some: random.Random, number: int) -> Iterator[str]:
    for _ in range(number):
        digits = f"{some.getrandbits(128):032x}"
        yield f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _odd_ids(seed: int) -> list[Any]:
    """Return keys that differ only in their bytes; to a careless comparison, many are equal."""
    texts = ["Task {}", "task {}", "task {} ", "a\0{}", "a\0{}b", "é{}", "e\u0301{}", "{}", "0{}"]
    return [*(text.format(seed) for text in texts), f"{seed}".encode() + b"\xff"]


def _newest(connection: sqlite3.Connection, table: str) -> int:
    newest: int
    (newest,) = connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()
    return newest


def _leave_marks(connection: sqlite3.Connection, since: Mapping[str, int], seed: int) -> None:
    """Give the rows after `since` signs of age: gaps, odd rowids, invalid UTF-8, NULL keys.

    A PRIMARY KEY that is not INTEGER may be NULL (SQLite documentation, "CREATE TABLE").
    """
    for table in ("state", "audit", "metrics", "checkpoints"):
        connection.execute(
            f"DELETE FROM {table} WHERE rowid % 9 = 4 AND rowid BETWEEN :since + 1 AND :since + 200"
            " OR rowid > max(:since, :newest - 3)",
            {"since": since[table], "newest": _newest(connection, table)},
        )
    tasks = {"since": since["tasks"], "newest": _newest(connection, "tasks")}
    unreferenced = "rowid > max(:newest - 200, :since + (:newest - :since) * 3 / 4)"
    connection.execute(
        f"DELETE FROM tasks WHERE {unreferenced} AND (rowid - :since) % 10 = 9", tasks
    )
    connection.execute(
        "UPDATE tasks SET id = NULL WHERE rowid IN"
        f" (SELECT rowid FROM tasks WHERE {unreferenced} AND (rowid - :since) % 10 = 0"
        " ORDER BY rowid DESC LIMIT 2)",
        tasks,
    )
    for table, column in (("tasks", "error_message"), ("audit", "result")):
        connection.execute(
            f"UPDATE {table} SET {column} = CAST(x'c328ff' AS TEXT) WHERE rowid = ?",
            (_newest(connection, table),),
        )
    for offset, rowid in ((4, -7 - seed), (5, 2**40 + seed)):
        connection.execute(
            "UPDATE OR IGNORE tasks SET rowid = ? WHERE rowid = ?",
            (rowid, since["tasks"] + offset),
        )
