"""The tables of generation 4, and which of them its application considers out of date."""

import re
import sqlite3
from pathlib import Path
from typing import Any

SCHEMA = (Path(__file__).parent.parent / "generations" / "4.sql").read_text("utf-8")
STATEMENTS = [sql.strip() for sql in SCHEMA.split(";") if sql.strip()]
CREATES = {found[1]: sql for sql in STATEMENTS if (found := re.search(r"TABLE .*?(\w+) \(", sql))}

REMADE = ["idx_memory_episodic_ttl", "idx_document_sync_status"]
"""The indexes that differ from the declared schema."""

NOW = "2025-10-20T12:00:00+00:00"
NAMESPACE = "user:alice:preferences"

USUAL: dict[str, dict[str, Any]] = {
    "tasks": {
        **dict.fromkeys(("submitted_at", "last_updated_at", "deadline"), NOW),
        **dict.fromkeys(("prompt", "summary", "feature_branch"), "Do it"),
        "status": "ready",
        "input_data": "{}",
        "source": "agent_planner",
        "dependency_type": "parallel",
        "calculated_priority": 7.5,
    },
    "task_dependencies": {"dependency_type": "sequential", "created_at": NOW},
    "agents": {
        **dict.fromkeys(("name", "specialization", "model"), "reviewer"),
        "state": "idle",
        "spawned_at": NOW,
    },
    "audit": {"timestamp": NOW, "action_type": "worked"},
    "metrics": {"timestamp": NOW, "metric_name": "tokens"},
    "checkpoints": {"state": "{}", "created_at": NOW},
    "sessions": {"app_name": "chat", "user_id": "alice", "project_id": "p"},
    "memory_entries": {"namespace": NAMESPACE, "value": '{"ü": 1}', "created_by": "alice"},
    "document_index": {"title": "t", "content_hash": "h", "embedding_blob": b"\0\0\x80?"},
    "document_embedding_metadata": {"namespace": NAMESPACE, "embedding_model": "m"},
}
"""The values that the application writes into a new row by default."""


def definitions(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return the column definitions of a table by name, as ALTER TABLE ADD COLUMN takes them."""
    keys = {
        row[3]: f" REFERENCES {row[2]}({row[4]}) ON DELETE {row[6]}"
        for row in connection.execute(f"PRAGMA foreign_key_list({table})")
    }
    return {
        name: f"{name} {kind}{' NOT NULL' * needed}"
        + (f" DEFAULT {default}" if default else "")
        + keys.get(name, "")
        for _, name, kind, needed, default, _ in connection.execute(f"PRAGMA table_info({table})")
    }


def unfit(connection: sqlite3.Connection) -> list[str]:
    """Return the tables that the application rebuilds: agents and checkpoints if their rows are not
    deleted with the task, and audit if it references tasks or requires a task.
    """
    found = []
    for table in ("agents", "checkpoints", "audit"):
        keys = connection.execute(f"PRAGMA foreign_key_list({table})").fetchall()
        actions = {row[6] for row in keys if row[2] == "tasks"}
        needed = definitions(connection, table)["task_id"] == "task_id TEXT NOT NULL"
        if (actions or needed) if table == "audit" else actions != {"CASCADE"}:
            found.append(table)
    return found


def rows(
    connection: sqlite3.Connection, table: str, where: str = "1", *given: object
) -> dict[int, dict[str, Any]]:
    """Return the rows of a table by rowid, in a form that JSON can represent."""
    cursor = connection.execute(f"SELECT rowid AS at, * FROM {table} WHERE {where}", given)
    names = [column[0] for column in cursor.description[1:]]
    return {
        at: {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in zip(names, row, strict=True)
        }
        for at, *row in cursor
    }
