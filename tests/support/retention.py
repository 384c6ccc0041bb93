"""Rows of any age, for the rules of `sql/retention/`."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

Row = tuple[str, Mapping[str, Any]]

NOW = datetime.now(timezone.utc)
OLD = f"{NOW - timedelta(days=800):%Y-%m-%d %H:%M:%S}"
NEW = f"{NOW - timedelta(hours=1):%Y-%m-%d %H:%M:%S}"


def task(name: str, **row: object) -> Row:
    """A task that is done, submitted long ago."""
    return "tasks", {
        "id": name,
        "prompt": "p",
        "status": "completed",
        "input_data": "{}",
        "submitted_at": OLD,
        "last_updated_at": NEW,
        **row,
    }


def agent(of: str, name: str) -> Row:
    """An agent of a task."""
    return "agents", {
        "id": name,
        "name": "n",
        "specialization": "s",
        "task_id": of,
        "state": "idle",
        "model": "m",
        "spawned_at": OLD,
    }


def checkpoint(of: str, name: str, **row: object) -> Row:
    """A checkpoint of a task, called by its state."""
    iteration = {"iteration": abs(hash(name)) % 10**9}
    return "checkpoints", {"task_id": of, "state": name, **iteration, **row}


def memory(key: str, version: int = 1, **row: object) -> Row:
    """A version of an episode."""
    return "memory_entries", {
        "namespace": "user:alice",
        "key": key,
        "value": "1",
        "memory_type": "episodic",
        "version": version,
        **row,
    }


def audit(name: str, **row: object) -> Row:
    """A row of the trail, called by its action; it is new."""
    return "audit", {"action_type": name, "timestamp": NEW, **row}


def fill(database: Path, rows: Iterable[Row]) -> None:
    """Insert the rows in one transaction."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for table, row in rows:
            if table == "state":
                row = {**row, "created_at": OLD, "updated_at": OLD}
            marks = ", ".join("?" * len(row))
            connection.execute(
                f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
            )
        connection.commit()
