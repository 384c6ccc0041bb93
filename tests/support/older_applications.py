"""The applications that created older databases: their schemas and their own INSERTs.

The SQL of each generation is in `generations/`, as an application of its time would write it.
"""

import re
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

GENERATIONS = (1, 2, 3)
FOLDER = Path(__file__).parent.parent / "generations"

INSERTS = {
    "agents": """
        INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at,
            terminated_at, resource_usage)
        VALUES (:id, :name, :specialization, :task_id, :state, :model, :spawned_at,
            :terminated_at, :resource_usage)""",
    "state": """
        INSERT INTO state (task_id, key, value, created_at, updated_at)
        VALUES (:task_id, :key, :value, :created_at, :updated_at)""",
    "audit": """
        INSERT INTO audit (timestamp, agent_id, task_id, action_type, action_data, result)
        VALUES (:timestamp, :agent_id, :task_id, :action_type, :action_data, :result)""",
    "metrics": """
        INSERT INTO metrics (timestamp, metric_name, metric_value, labels)
        VALUES (:timestamp, :metric_name, :metric_value, :labels)""",
    "checkpoints": """
        INSERT INTO checkpoints (task_id, iteration, state, created_at)
        VALUES (:task_id, :iteration, :state, :created_at)""",
}

TASK_INSERTS = {
    1: """
        INSERT INTO tasks (id, template_name, priority, status, input_data, result_data,
            error_message, retry_count, max_retries, submitted_at, started_at, completed_at,
            created_by, parent_task_id, dependencies)
        VALUES (:id, :template_name, :priority, :status, :input_data, :result_data,
            :error_message, :retry_count, :max_retries, :submitted_at, :started_at, :completed_at,
            :created_by, :parent_task_id, :dependencies)""",
    2: """
        INSERT INTO tasks (id, prompt, agent_type, priority, status, input_data, result_data,
            error_message, retry_count, max_retries, submitted_at, started_at, completed_at,
            created_by, parent_task_id, dependencies)
        VALUES (:id, :prompt, :agent_type, :priority, :status, :input_data, :result_data,
            :error_message, :retry_count, :max_retries, :submitted_at, :started_at, :completed_at,
            :created_by, :parent_task_id, :dependencies)""",
    3: """
        INSERT INTO tasks (id, prompt, agent_type, priority, status, input_data, result_data,
            error_message, retry_count, max_retries, max_execution_timeout_seconds, submitted_at,
            started_at, completed_at, last_updated_at, created_by, parent_task_id, dependencies)
        VALUES (:id, :prompt, :agent_type, :priority, :status, :input_data, :result_data,
            :error_message, :retry_count, :max_retries, :max_execution_timeout_seconds,
            :submitted_at, :started_at, :completed_at, :last_updated_at, :created_by,
            :parent_task_id, :dependencies)""",
}

ORDINARY = {
    "template_name": "review",
    "prompt": "Review the code",
    "agent_type": "reviewer",
    "priority": 5,
    "status": "ready",
    "input_data": "{}",
    "submitted_at": "2024-03-01T12:00:00Z",
    "last_updated_at": "2024-03-01T12:00:00Z",
    "name": "reviewer",
    "specialization": "python",
    "state": "idle",
    "model": "large",
    "spawned_at": "2024-03-01T12:00:00Z",
    "key": "result",
    "value": "1",
    "created_at": "2024-03-01T12:00:00Z",
    "updated_at": "2024-03-01T12:00:00Z",
    "timestamp": "2024-03-01T12:00:00Z",
    "action_type": "started",
    "metric_name": "duration",
    "metric_value": 0.5,
    "iteration": 1,
}
"""The values that `Application.add` writes by default; all other columns get NULL."""

PLACEHOLDER = re.compile(r":(\w+)")


@dataclass(frozen=True)
class Application:
    """An application of one generation: its schema and its INSERTs, which name their columns."""

    generation: int
    journal_mode: str
    inserts: Mapping[str, str]

    @property
    def schema(self) -> str:
        """The SQL that creates its tables."""
        return (FOLDER / f"{self.generation}.sql").read_text("utf-8")

    def start(self, connection: sqlite3.Connection) -> None:
        """Do what it does at each start: create the database, or whatever is missing from it."""
        connection.execute(f"PRAGMA journal_mode = {self.journal_mode}")
        made_once = self.generation == 2
        if not (made_once and connection.execute("PRAGMA user_version").fetchone()[0]):
            connection.executescript(self.schema)

    def add(self, connection: sqlite3.Connection, table: str, **values: Any) -> int:
        """Insert one row and return its rowid; pass `task_id` where the table has that column.

        Raises ValueError for a column that this generation does not write.
        """
        insert = self.inserts[table]
        ordinary = {"id": str(uuid.uuid4()), **ORDINARY}
        wanted = PLACEHOLDER.findall(insert)
        if unknown := values.keys() - set(wanted):
            raise ValueError(f"generation {self.generation} has no {table}.{min(unknown)}")
        row = {column: ordinary.get(column) for column in wanted} | values
        rowid = connection.execute(insert, row).lastrowid
        assert rowid is not None
        return rowid

    def columns(self, table: str) -> list[str]:
        """Return the columns that its INSERT names."""
        return PLACEHOLDER.findall(self.inserts[table])

    def insert_many(
        self, connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """Insert rows of values in the order of `columns(table)`."""
        connection.executemany(PLACEHOLDER.sub("?", self.inserts[table]), rows)


APPLICATIONS = {
    generation: Application(generation, mode, {"tasks": TASK_INSERTS[generation], **INSERTS})
    for generation, mode in zip(GENERATIONS, ("delete", "wal", "wal"), strict=True)
}


@cache
def old_columns(generation: int, table: str) -> Mapping[str, str]:
    """Map each column of a generation's core table, in order, to its name after the upgrade."""
    with closing(sqlite3.connect(":memory:")) as connection:
        APPLICATIONS[generation].start(connection)
        names = columns_of(connection, table)
    return {name: "prompt" if name == "template_name" else name for name in names}


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return the current columns of a table, generated ones included."""
    query = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden IN (0, 2, 3) ORDER BY cid"
    return [name for (name,) in connection.execute(query, (table,))]


def generation_of(connection: sqlite3.Connection) -> int:
    """Return the newest generation whose INSERTs `tasks` accepts; 3 if the table is up to date."""
    names = columns_of(connection, "tasks")
    if "template_name" in names:
        return 1
    return 3 if "last_updated_at" in names else 2
