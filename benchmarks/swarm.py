"""A large database as a swarm would leave it after a year; generated, and always the same."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import aiosqlite

from abathur_schema import Database

FIRST_DAY = datetime(2025, 1, 1, tzinfo=timezone.utc)
DAYS = 365
STATES = ("terminated", "idle", "working")
TYPES = ("semantic", "episodic", "procedural")
METRICS = [f"metric{number}" for number in range(20)]
OPERATIONS = ("create", "update", "delete", "consolidate", "publish")
DOCUMENT_TYPES = ("design", "specification", "plan", "report")
MODELS = ("small", "large")
PARTS = ("preferences", "facts", "history")

Row = tuple[Any, ...]


def at(day: float) -> str:
    """A time of the year by its day, as the applications write it."""
    return (FIRST_DAY + timedelta(days=day)).isoformat(timespec="milliseconds")


class Swarm(Database):
    """Fills its tables before their indexes are built, which is faster.

    `memories` is the number of memories; all other tables are in proportion to it.
    """

    def __init__(self, path: str, memories: int) -> None:
        super().__init__(path, search=True)
        self.memories = memories
        self.users = max(memories // 200, 2)
        self.projects = max(memories // 2000, 2)
        self.sessions = max(memories // 20, 10)
        self.tasks = max(memories // 10, 50)
        self.agents = max(memories // 10, 50)
        self.documents = max(memories // 50, 20)
        self.audit = memories // 2
        self.metrics = memories // 2
        self.checkpoints = max(memories // 10, 50)

    async def initialize(self) -> None:
        """Initialize, and change every document once after the change log has begun."""
        await super().initialize()
        changed = "SELECT count(*) FROM document_changes"
        async with self.transaction() as conn:
            row = await (await conn.execute(changed)).fetchone()
            if row and row[0] == 0:
                await conn.execute("UPDATE document_index SET document_type = document_type")

    async def _create_core_indexes(self, conn: aiosqlite.Connection) -> None:
        await super()._create_memory_tables(conn)
        row = await (await conn.execute("SELECT count(*) FROM memory_entries")).fetchone()
        if row and row[0] == 0:
            await self._fill(conn)
        await super()._create_core_indexes(conn)

    async def _fill(self, conn: aiosqlite.Connection) -> None:
        sources: dict[str, tuple[int, Callable[[random.Random, int], Row]]] = {
            "sessions (id, app_name, user_id, project_id, status, created_at, last_update_time)": (
                self.sessions,
                self._session,
            ),
            "tasks (id, prompt, priority, status, input_data, submitted_at, last_updated_at,"
            " parent_task_id, session_id)": (self.tasks, self._task),
            "agents (id, name, specialization, task_id, state, model, spawned_at, session_id)": (
                self.agents,
                self._agent,
            ),
            "memory_entries (namespace, key, value, memory_type, version, is_deleted, created_by,"
            " created_at, updated_at)": (self.memories, self._memory),
            "audit (timestamp, agent_id, task_id, action_type, memory_operation_type,"
            " memory_namespace, memory_entry_id)": (self.audit, self._audit),
            "metrics (timestamp, metric_name, metric_value)": (self.metrics, self._metric),
            "checkpoints (task_id, iteration, state, created_at, session_id)": (
                self.checkpoints,
                self._checkpoint,
            ),
            "document_index (file_path, title, document_type, content_hash, embedding_model,"
            " embedding_blob, last_synced_at, sync_status, created_at, updated_at)": (
                self.documents,
                self._document,
            ),
        }
        for target, (number, make) in sources.items():
            places = ", ".join("?" * (target.count(",") + 1))
            await conn.executemany(
                f"INSERT INTO {target} VALUES ({places})", self._rows(number, make)
            )
            await conn.commit()

    @staticmethod
    def _rows(number: int, make: Callable[[random.Random, int], Row]) -> Iterator[Row]:
        chance = random.Random(number)
        return (make(chance, count) for count in range(number))

    def user(self, chance: random.Random) -> str:
        """A random user: a few have much, most have little."""
        return f"u{int(self.users * chance.random() ** 1.5)}"

    def project(self, chance: random.Random) -> str:
        """A random project; all are alike."""
        return f"p{chance.randrange(self.projects)}"

    def session(self, chance: random.Random) -> str:
        """A random session."""
        return f"s{chance.randrange(self.sessions)}"

    def task(self, chance: random.Random) -> str:
        """A random task."""
        return f"t{chance.randrange(self.tasks)}"

    def agent(self, chance: random.Random) -> str:
        """A random agent."""
        return f"a{chance.randrange(self.agents)}"

    def namespace(self, chance: random.Random) -> str:
        """A random namespace: two in three belong to a user, the others to a project."""
        owner = f"user:{self.user(chance)}" if chance.random() < 0.66 else None
        return f"{owner or 'project:' + self.project(chance)}:{chance.choice(PARTS)}"

    def _session(self, chance: random.Random, number: int) -> Row:
        day = DAYS * number / self.sessions
        status = "terminated" if day < DAYS - 7 else chance.choice(("active", "paused", "created"))
        user, app = self.user(chance), f"app{chance.randrange(5)}"
        return (f"s{number}", app, user, self.project(chance), status, at(day), at(day + 0.1))

    def _task(self, chance: random.Random, number: int) -> Row:
        day = DAYS * number / self.tasks
        status = "completed" if day < DAYS - 3 else chance.choice(("ready", "running", "failed"))
        parent = f"t{chance.randrange(number)}" if number and chance.random() < 0.5 else None
        priority, session = chance.randrange(11), self.session(chance)
        return (
            *(f"t{number}", "find out " * 20, priority, status, "{}"),
            *(at(day), at(day + chance.random()), parent, session),
        )

    def _agent(self, chance: random.Random, number: int) -> Row:
        day = DAYS * number / self.agents
        state = STATES[0] if day < DAYS - 2 else chance.choice(STATES)
        return (
            *(f"a{number}", f"agent {number}", "research", self.task(chance), state, "model"),
            *(at(day), self.session(chance)),
        )

    def _memory(self, chance: random.Random, number: int) -> Row:
        # Every third memory was changed once: one key in two versions.
        first = number - number % 3
        key, version = (number, 1) if number % 3 < 2 else (first + 1, 2)
        namespace = self.namespace(random.Random(key))
        day = DAYS * number / self.memories
        value = f'{{"text": "{"what the swarm has learned " * 4}"}}'
        return (
            *(namespace, f"k{key}", value, TYPES[key % 7 % 3], version, chance.random() < 0.02),
            *(self.session(chance), at(day), at(day)),
        )

    def _audit(self, chance: random.Random, number: int) -> Row:
        day = DAYS * number / self.audit
        agent, task = self.agent(chance), self.task(chance)
        if chance.random() < 0.5:
            return (at(day), agent, task, "run", None, None, None)
        namespace, entry = self.namespace(chance), chance.randrange(self.memories) + 1
        return (at(day), agent, task, "memory", chance.choice(OPERATIONS), namespace, entry)

    def _metric(self, chance: random.Random, number: int) -> Row:
        return (at(DAYS * number / self.metrics), chance.choice(METRICS), chance.random())

    def _checkpoint(self, chance: random.Random, number: int) -> Row:
        day = DAYS * number / self.checkpoints
        return (f"t{number % self.tasks}", number, '{"step": 1}', at(day), self.session(chance))

    def _document(self, chance: random.Random, number: int) -> Row:
        day = DAYS * number / self.documents
        status = "synced" if day < DAYS - 20 else chance.choice(("pending", "stale", "failed"))
        digest = f"{number // 2:064x}"  # each content twice
        return (
            *(f"docs/{number}.md", f"Document {number}", chance.choice(DOCUMENT_TYPES), digest),
            *(chance.choice(MODELS), chance.randbytes(4 * 384), at(day), status, at(day), at(day)),
        )
