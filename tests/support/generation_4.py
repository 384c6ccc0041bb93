"""The application of generation 4: what it creates and migrates at each start, and its daily work.

`python -m tests.support.generation_4 DATABASE LOG [ROUNDS]` works until its standard input ends,
and logs each transaction once SQLite has acknowledged it. After ROUNDS rounds it kills itself.
"""

import json
import os
import select
import signal
import sqlite3
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.support.generation_4_tables import (
    CREATES,
    NAMESPACE,
    NOW,
    SCHEMA,
    STATEMENTS,
    USUAL,
    definitions,
    rows,
    unfit,
)

Row = tuple[str, int, dict[str, Any] | None]
"""A table, a rowid, and the current values of the row; None if it was deleted."""

Tell = Callable[[list[Row]], None]


def ignore(done: list[Row]) -> None:
    """Discard the rows."""


class Application:
    """The application, connected to one database. Each operation is one transaction, whose rows are
    passed to `tell` as soon as SQLite has acknowledged it.
    """

    def __init__(self, path: Path, tell: Tell) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            self.connection.execute(f"PRAGMA {pragma}")
        self.tell = tell
        self.touched: dict[tuple[str, int], None] = {}

    def start(self) -> list[str]:
        """Create and migrate the schema, as at each start; return what was migrated."""
        for create in CREATES.values():
            self.connection.execute(create)
        migrated = []
        with closing(sqlite3.connect(":memory:")) as model:
            model.executescript(SCHEMA)
            for table in CREATES:
                there = definitions(self.connection, table)
                for name, definition in definitions(model, table).items():
                    if name not in there:
                        self.connection.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
                        migrated.append(f"{table}.{name}")
        for table in unfit(self.connection):
            self._rebuild(table)
            migrated.append(table)
        for sql in STATEMENTS:
            self.connection.execute(sql)
        return migrated

    def _rebuild(self, table: str) -> None:
        names = ", ".join(definitions(self.connection, table))
        create = CREATES[table].replace(f"IF NOT EXISTS {table} ", f"{table}_new ")
        self.connection.execute("PRAGMA foreign_keys = OFF")
        self.connection.execute("BEGIN IMMEDIATE")
        with self.connection:
            self.connection.execute(create)
            self.connection.execute(
                f"INSERT INTO {table}_new ({names}) SELECT {names} FROM {table}"
            )
            self.connection.execute(f"DROP TABLE {table}")
            self.connection.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
        self.connection.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.touched = {}
        self.connection.execute("BEGIN IMMEDIATE")
        with self.connection:
            yield
            done: list[Row] = [
                (table, at, rows(self.connection, table, "rowid = ?", at).get(at))
                for table, at in self.touched
            ]
        self.tell(done)

    def _find(self, table: str, where: str, *given: object) -> list[int]:
        """Return the rowids of the rows found, and note them as changed by this transaction."""
        query = f"SELECT rowid FROM {table} WHERE {where}"
        found = [rowid for (rowid,) in self.connection.execute(query, given)]
        self.touched |= {(table, rowid): None for rowid in found}
        return found

    def _insert(self, table: str, **row: object) -> int:
        row = {**USUAL.get(table, {}), **row}
        marks = ", ".join("?" * len(row))
        insert = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
        rowid = self.connection.execute(insert, tuple(row.values())).lastrowid
        assert rowid
        self.touched[table, rowid] = None
        return rowid

    def _update(self, table: str, change: str, where: str, *given: object) -> None:
        for rowid in self._find(table, where, *given):
            self.connection.execute(f"UPDATE {table} SET {change} WHERE rowid = ?", (rowid,))

    def _delete(self, table: str, where: str, *given: object) -> None:
        self._find(table, where, *given)
        self.connection.execute(f"DELETE FROM {table} WHERE {where}", given)

    def add(self, table: str, **row: object) -> None:
        """Add one row: an agent, a checkpoint, a metric, a session or an audit entry."""
        with self._transaction():
            self._insert(table, **row)

    def add_task(self, after: str | None = None, **row: object) -> str:
        """Add a task, which may have to wait for another one; return its id."""
        task = str(uuid.uuid4())
        with self._transaction():
            self._insert("tasks", id=task, status="blocked" if after else "ready", **row)
            if after:
                waits = {"dependent_task_id": task, "prerequisite_task_id": after}
                self._insert("task_dependencies", id=str(uuid.uuid4()), **waits)
            self._insert("audit", task_id=task, action_type="submitted")
        return task

    def finish(self, task: str) -> None:
        """Complete a task, and unblock the tasks that were waiting for it."""
        with self._transaction():
            change = f"status = 'completed', completed_at = '{NOW}', result_data = '{{}}'"
            self._update("tasks", change, "id = ?", task)
            waits = "SELECT dependent_task_id FROM task_dependencies WHERE prerequisite_task_id = ?"
            self._update("tasks", "status = 'ready'", f"id IN ({waits})", task)
            self._update(
                "task_dependencies", f"resolved_at = '{NOW}'", "prerequisite_task_id = ?", task
            )

    def keep(self, task: str, value: int) -> None:
        """Add or change the state of a task."""
        with self._transaction():
            self.connection.execute(
                "INSERT INTO state (task_id, key, value, created_at, updated_at)"
                " VALUES (?, 'k', ?, ?, ?) ON CONFLICT(task_id, key) DO UPDATE"
                " SET value = excluded.value, updated_at = excluded.updated_at",
                (task, str(value), NOW, NOW),
            )
            self._find("state", "task_id = ? AND key = 'k'", task)

    def remember(self, key: str, kind: str = "semantic") -> int:
        """Add the next version of a memory, outside any task; return its id."""
        query = "SELECT max(version) FROM memory_entries WHERE namespace = ? AND key = ?"
        with self._transaction():
            (last,) = self.connection.execute(query, (NAMESPACE, key)).fetchone()
            version = (last or 0) + 1
            memory = self._insert("memory_entries", key=key, memory_type=kind, version=version)
            self._trail("update" if last else "create", memory)
        return memory

    def forget(self, key: str, *, for_good: bool = False) -> None:
        """Mark a memory as deleted, or delete all its versions."""
        with self._transaction():
            if for_good:
                ids = "SELECT id FROM memory_entries WHERE key = ?"
                self._find("audit", f"memory_entry_id IN ({ids})", key)
                self._delete("memory_entries", "key = ?", key)
            else:
                self._update("memory_entries", "is_deleted = 1", "key = ?", key)
            self._trail("consolidate" if for_good else "delete")

    def _trail(self, operation: str, memory: int | None = None) -> None:
        row = {"memory_operation_type": operation, "memory_entry_id": memory}
        action = f"memory_{operation}"
        self._insert("audit", task_id=None, action_type=action, memory_namespace=NAMESPACE, **row)

    def say(self, session: str) -> None:
        """Append an event to a session."""
        event = "events = json_insert(events, '$[#]', json('{}')), status = 'active'"
        with self._transaction():
            self._update("sessions", event, "id = ?", session)

    def close_session(self, session: str) -> None:
        """Delete a session, but keep what was created in it."""
        with self._transaction():
            for table in ("tasks", "agents", "checkpoints"):
                self._find(table, "session_id = ?", session)
            self._delete("sessions", "id = ?", session)

    def index_document(self, path: str) -> None:
        """Add a document and its embedding."""
        with self._transaction():
            document = self._insert("document_index", file_path=path, sync_status="stale")
            change = f"sync_status = 'synced', last_synced_at = '{NOW}', embedding_model = 'm'"
            self._update("document_index", change, "id = ?", document)
            self._insert("document_embedding_metadata", document_id=document, file_path=path)

    def prune(self, task: str) -> int:
        """Delete a task and all its descendants, with their agents, state and checkpoints, but keep
        the audit trail. Return the number of tasks deleted.
        """
        with self._transaction():
            below = self.connection.execute(
                "WITH RECURSIVE below(id) AS (SELECT ? UNION SELECT tasks.id FROM tasks JOIN below"
                " ON parent_task_id = below.id) SELECT json_group_array(id) FROM below",
                (task,),
            ).fetchone()[0]
            going = "(SELECT value FROM json_each(?1))"
            agents = f"SELECT id FROM agents WHERE task_id IN {going}"
            self._update("audit", "agent_id = NULL", f"agent_id IN ({agents})", below)
            for table in ("agents", "checkpoints"):
                self._find(table, f"task_id IN {going}", below)
            either = f"dependent_task_id IN {going} OR prerequisite_task_id IN {going}"
            self._find("task_dependencies", either, below)
            self._delete("state", f"task_id IN {going}", below)
            self._delete("tasks", f"id IN {going}", below)
        return len(json.loads(below))

    def look(self) -> list[Any]:
        """Run the queries of its daily work."""
        queries = (
            "SELECT id FROM tasks WHERE status = 'ready' ORDER BY calculated_priority DESC",
            "SELECT t.id FROM tasks t JOIN task_dependencies d ON d.dependent_task_id = t.id"
            " WHERE d.resolved_at IS NULL",
            "SELECT value, max(version) FROM memory_entries WHERE is_deleted = 0 GROUP BY key",
            "SELECT id, json_array_length(events) FROM sessions WHERE user_id = 'alice'",
            "SELECT timestamp FROM audit WHERE memory_namespace > '' ORDER BY timestamp DESC",
        )
        return [self.connection.execute(query).fetchall() for query in queries]

    def work(self) -> None:
        """Run every operation once."""
        session = str(uuid.uuid4())
        self.add("sessions", id=session)
        self.say(session)
        parent = self.add_task(session_id=session)
        child = self.add_task(parent_task_id=parent)
        other = self.add_task(after=parent, session_id=session)
        for task in (parent, child, other):
            agent = str(uuid.uuid4())
            self.add("agents", id=agent, task_id=task, session_id=session)
            self.add("audit", task_id=task, agent_id=agent, result="ok")
            for number in (1, 2):
                self.add("checkpoints", task_id=task, iteration=number, session_id=session)
                self.keep(task, number)
        self.finish(parent)
        assert self.prune(parent) == 2
        for key in (f"kept {parent}", f"marked {parent}", f"gone {parent}"):
            self.remember(key)
            self.remember(key, "episodic")
        self.forget(f"marked {parent}")
        self.forget(f"gone {parent}", for_good=True)
        self.index_document(f"{parent}.md")
        self.add("metrics", metric_value=12.5)
        self.close_session(session)
        self.add("sessions", id=parent)
        self.say(parent)
        assert all(self.look()[0])


@contextmanager
def running(path: Path, tell: Tell = ignore) -> Iterator[Application]:
    """Yield the application with its connection open."""
    application = Application(path, tell)
    with closing(application.connection):
        yield application


def main() -> None:
    """Work until standard input ends, or for the given number of rounds."""
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else None
    with Path(sys.argv[2]).open("w") as log:

        def tell(done: list[Row]) -> None:
            print(json.dumps(done), file=log, flush=True)

        with running(Path(sys.argv[1]), tell) as application:
            application.start()
            while not select.select([sys.stdin], [], [], 0.002)[0]:
                application.work()
                if rounds is not None and not (rounds := rounds - 1):
                    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
