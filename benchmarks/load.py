"""Many tasks in many processes read and write one file at once; no write may be lost."""

import argparse
import asyncio
import json
import multiprocessing
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path

from abathur_schema import Database

NOW = "2026-01-01T00:00:00Z"


@dataclass
class Outcome:
    """The outcome of one process: operations by kind, the longest in seconds, and the errors."""

    done: Counter[str] = field(default_factory=Counter)
    longest: dict[str, float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


class Worker:
    """One task: its own session, memory and audit trail, and events in a session shared by all."""

    def __init__(self, db: Database, name: str) -> None:
        self.db = db
        self.name = name
        self.version = 0

    async def make_session(self) -> None:
        """A write as services do it: INSERT, then commit."""
        async with self.db._get_connection() as conn:
            await conn.execute(
                "INSERT INTO sessions (id, app_name, user_id) VALUES (?, 'load', ?)",
                (f"{self.name}-{random.getrandbits(64)}", self.name),
            )
            await conn.commit()

    async def append_event(self) -> None:
        """A write that depends on what it read, to a row that all tasks change."""
        async with self.db.transaction() as conn:
            cursor = await conn.execute("SELECT events FROM sessions WHERE id = 'all'")
            row = await cursor.fetchone()
            assert row
            # Only the last ten, so that the row does not grow; `metadata` counts all.
            events = [*json.loads(row["events"])[-9:], self.name]
            await conn.execute(
                "UPDATE sessions SET events = ?, metadata = metadata + 1 WHERE id = 'all'",
                (json.dumps(events),),
            )

    async def remember(self) -> None:
        """The next version of a memory, and its audit row: both or neither."""
        async with self.db.connection() as conn:
            await conn.execute("BEGIN IMMEDIATE")
            cursor = await conn.execute(
                "INSERT INTO memory_entries (namespace, key, value, memory_type, version)"
                " VALUES (?, 'k', '{}', 'episodic', ?)",
                (f"session:{self.name}", self.version + 1),
            )
            await conn.execute(
                "INSERT INTO audit (timestamp, task_id, action_type, memory_operation_type,"
                " memory_namespace, memory_entry_id) VALUES (?, 't', 'memory', 'update', ?, ?)",
                (NOW, f"session:{self.name}", cursor.lastrowid),
            )
            await conn.commit()
        self.version += 1

    async def read_memory(self) -> None:
        """Raise LookupError unless the last version written is found."""
        rows = await self.db.fetch("current-memory", namespace=f"session:{self.name}", key="k")
        if [row["version"] for row in rows] != ([self.version] if self.version else []):
            raise LookupError(f"{self.name} wrote version {self.version}, and cannot see it")

    async def read_trail(self) -> None:
        """The newest audit rows."""
        await self.db.fetch("trail-of-a-namespace", namespace=f"session:{self.name}", limit=5)


async def work(worker: Worker, until: float, outcome: Outcome) -> None:
    """Run one random operation after another until the time is up."""
    writes: list[Callable[[], Awaitable[None]]] = [
        *(worker.make_session, worker.append_event, worker.remember)
    ]
    reads: list[Callable[[], Awaitable[None]]] = [worker.read_memory, worker.read_trail]
    while time.time() < until:
        operation = random.choice(writes + reads)
        name = getattr(operation, "__name__", "")
        started = time.perf_counter()
        try:
            await operation()
        except Exception as error:  # every kind counts
            outcome.errors.append(f"{name}: {error!r}")
        else:
            outcome.done[name] += 1
        seconds = time.perf_counter() - started
        outcome.longest[name] = max(seconds, outcome.longest.get(name, 0))


_all_are_ready: Barrier


def join(barrier: Barrier) -> None:
    """Give a new process the barrier at which all wait before they begin."""
    global _all_are_ready
    _all_are_ready = barrier


def process(path: Path, number: int, tasks: int, seconds: float) -> Outcome:
    """Run one process of the load; all begin together."""

    async def run() -> Outcome:
        outcome = Outcome()
        async with Database(path) as db:
            await asyncio.to_thread(_all_are_ready.wait, 60)
            until = time.time() + seconds
            workers = (Worker(db, f"{number}-{task}") for task in range(tasks))
            await asyncio.gather(*(work(worker, until, outcome) for worker in workers))
        return outcome

    return asyncio.run(run())


async def verified(path: Path) -> list[str]:
    """The names of the checks that fail."""
    return [check.name for check in await Database(path).verify() if check.status == "fail"]


def load(path: Path, processes: int, tasks: int, seconds: float) -> tuple[list[Outcome], list[str]]:
    """Run the load. Returns the outcome of each process, and what `verify` found meanwhile."""
    asyncio.run(prepare(path))
    faults: list[str] = []
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, join, (ready,)) as pool:
        running: list[Future[Outcome]] = [
            pool.submit(process, path, number, tasks, seconds) for number in range(processes)
        ]
        while not all(future.done() for future in running):
            faults += asyncio.run(verified(path))
            time.sleep(0.2)
        return [future.result() for future in running], faults


async def prepare(path: Path) -> None:
    """Create a task for the audit rows, and the shared session."""
    async with Database(path) as db, db.transaction() as conn:
        await conn.execute(
            "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
            " VALUES ('t', 'load', 'running', '{}', ?, ?)",
            (NOW, NOW),
        )
        await conn.execute(
            "INSERT INTO sessions (id, app_name, user_id, metadata)"
            " VALUES ('all', 'load', 'u', '0')"
        )


def lost(path: Path, done: Counter[str]) -> list[str]:
    """The writes that succeeded but are missing, and those that exist but did not succeed."""
    expected = {
        "SELECT count(*) FROM sessions WHERE id <> 'all'": done["make_session"],
        "SELECT metadata FROM sessions WHERE id = 'all'": done["append_event"],
        "SELECT count(*) FROM memory_entries": done["remember"],
        "SELECT count(*) FROM audit": done["remember"],
    }
    with closing(sqlite3.connect(path)) as connection:
        found = {query: int(connection.execute(query).fetchone()[0]) for query in expected}
    return [
        f"{query}: {found[query]}, expected {number}"
        for query, number in expected.items()
        if found[query] != number
    ]


def main() -> int:
    """Print the outcome; 0 if no write was lost, nothing failed and `verify` passed, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=50, help="in each process (default: 50)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.db"
        outcomes, faults = load(path, options.processes, options.tasks, options.seconds)
        done = sum((outcome.done for outcome in outcomes), Counter[str]())
        wrong = [*faults, *asyncio.run(verified(path)), *lost(path, done)]
        wrong += [error for outcome in outcomes for error in outcome.errors]
    print(f"{options.processes} processes, {options.tasks} tasks each, {options.seconds:g} s\n")
    print(f"{'operation':<14}{'done':>8}{'a second':>10}{'longest ms':>12}")
    for name, number in sorted(done.items()):
        longest = max(outcome.longest.get(name, 0) for outcome in outcomes) * 1000
        print(f"{name:<14}{number:>8}{number / options.seconds:>10.0f}{longest:>12.0f}")
    print(f"\n{len(wrong)} faults", *wrong[:20], sep="\n")
    return 1 if wrong or not done else 0


if __name__ == "__main__":
    sys.exit(main())
