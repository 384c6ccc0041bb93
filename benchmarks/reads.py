"""How long each query of `checks/plans/` takes on a large database, as an application runs it."""

import argparse
import asyncio
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from abathur_schema.application.queries import queries
from abathur_schema.proof.targets import READ_MS
from benchmarks.swarm import (
    DAYS,
    DOCUMENT_TYPES,
    METRICS,
    MODELS,
    OPERATIONS,
    STATES,
    TYPES,
    Swarm,
    at,
)

TASKS_AT_ONCE = 8
LIMIT = 50


def values(db: Swarm, chance: random.Random) -> dict[str, Callable[[], Any]]:
    """What an application would pass, by the name of the parameter."""
    day = chance.uniform(1, DAYS - 1)
    return {
        "agent_id": lambda: db.agent(chance),
        "app_name": lambda: f"app{chance.randrange(5)}",
        "content_hash": lambda: f"{chance.randrange(db.documents // 2):064x}",
        "created_by": lambda: db.session(chance),
        "document_type": lambda: chance.choice(DOCUMENT_TYPES),
        "embedding_model": lambda: chance.choice(MODELS),
        "limit": lambda: LIMIT,
        "memory_entry_id": lambda: chance.randrange(db.memories) + 1,
        "memory_operation_type": lambda: chance.choice(OPERATIONS),
        "memory_type": lambda: chance.choice(TYPES),
        "metric_name": lambda: chance.choice(METRICS),
        "namespace": lambda: db.namespace(chance),
        "project_id": lambda: db.project(chance),
        "session_id": lambda: db.session(chance),
        "since": lambda: at(day),
        "task_id": lambda: db.task(chance),
        "user_id": lambda: db.user(chance),
        "file_path": lambda: f"docs/{chance.randrange(db.documents)}.md",
        "id": lambda: chance.randrange(db.documents) + 1,
        "after": lambda: chance.choice(("", MODELS[0])),
        "number": lambda: db.documents - LIMIT,
    }


def special(name: str, db: Swarm, chance: random.Random) -> dict[str, Any]:
    """The values of parameters whose name does not say enough."""
    day = chance.uniform(1, DAYS - 1)
    owner = chance.choice((f"user:{db.user(chance)}", f"project:{db.project(chance)}"))
    memory = chance.randrange(db.memories // 3) * 3
    of_a_memory = {"namespace": db.namespace(random.Random(memory)), "key": f"k{memory}"}
    by_name: dict[str, dict[str, Any]] = {
        # What existed on the first day, or was added on the last: what a daily task finds.
        "checkpoints-to-drop": {"before": at(1)},
        "episodes-to-forget": {"before": at(1)},
        "metric-over-time": {"since": at(DAYS - 1)},
        "tasks-of-a-time-range": {"since": at(day), "until": at(day + 1)},
        "tasks-that-hang": {"before": at(DAYS - 1)},
        "documents-of-an-embedding-model": {"before": at(day)},
        "agents-in-a-state": {"state": chance.choice(STATES[1:])},
        "live-sessions": {"status": chance.choice(("active", "paused"))},
        "documents-to-embed": {"sync_status": chance.choice(("pending", "stale"))},
        "next-task": {"status": "ready", "limit": 1},
        "current-memory": of_a_memory,
        "versions-of-a-memory": of_a_memory,
        "version-of-a-memory": {**of_a_memory, "version": 1},
        "versions-not-forgotten": of_a_memory,
        "task-to-claim": {"agent_type": None},
        "task-by-id": {"id": db.task(chance)},
        "memories-with-words": {"words": f"k{memory}"},
        "documents-with-words": {"words": f"document {chance.randrange(db.documents)}"},
        # Everything that belongs to a user or a project.
        "memories-below-a-namespace": {"namespace": owner},
        "memories-of-a-type-below-a-namespace": {"namespace": owner},
        "trail-below-a-namespace": {"namespace": owner},
    }
    return by_name.get(name, {})


def parameters(name: str, db: Swarm, chance: random.Random) -> dict[str, Any]:
    """A set of parameters for a query. Raises KeyError for a parameter without a value here."""
    found = special(name, db, chance)
    common = values(db, chance)
    return {
        key: found[key] if key in found else common[key]() for key in queries()[name].parameters
    }


class Reads(NamedTuple):
    """The milliseconds and the number of rows of each read of one query."""

    milliseconds: list[float]
    rows: list[int]

    def percentile(self, percent: int) -> float:
        """The milliseconds within which `percent` percent of the reads finish."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


async def read(db: Swarm, name: str, chance: random.Random, reads: Reads) -> None:
    """Time one read, with new parameters."""
    asked = parameters(name, db, chance)
    started = time.perf_counter()
    rows = await db.fetch(name, **asked)
    reads.milliseconds.append((time.perf_counter() - started) * 1000)
    reads.rows.append(len(rows))


async def measure(db: Swarm, runs: int) -> tuple[dict[str, Reads], Reads, float]:
    """The reads of each query, one after another; then of all mixed, several at once, with their
    number per second.
    """
    found = {name: Reads([], []) for name in queries()}
    chance = random.Random(1)
    for name, reads in found.items():
        await read(db, name, chance, Reads([], []))  # opens the connection
        for _ in range(runs):
            await read(db, name, chance, reads)

    mixed = Reads([], [])

    async def reader(number: int) -> None:
        own = random.Random(number)
        for name in own.choices(list(queries()), k=max(runs, 10)):
            await read(db, name, own, mixed)

    started = time.perf_counter()
    await asyncio.gather(*(reader(number) for number in range(TASKS_AT_ONCE)))
    return found, mixed, len(mixed.rows) / (time.perf_counter() - started)


def line(name: str, reads: Reads, a_second: float) -> str:
    """One line of the table."""
    return (
        f"{name:<38}{statistics.median(reads.rows):>8.0f}{max(reads.rows):>8}{a_second:>10.0f}"
        f"{reads.percentile(50):>9.2f}{reads.percentile(99):>9.2f}"
    )


async def run(path: Path, memories: int, runs: int) -> int:
    """Print the table and return the exit code."""
    started = time.perf_counter()
    async with Swarm(str(path), memories) as db:
        seconds = time.perf_counter() - started
        print(
            f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
            f" {os.cpu_count()} cores\n{memories} memories, {path.stat().st_size / 1e6:.0f} MB,"
            f" made or opened in {seconds:.0f} s; {runs} reads of each query\n"
        )
        found, mixed, a_second = await measure(db, runs)
    print(f"{'query':<38}{'rows':>8}{'most':>8}{'reads/s':>10}{'p50 ms':>9}{'p99 ms':>9}")
    for name, reads in found.items():
        print(line(name, reads, 1000 / statistics.mean(reads.milliseconds)))
    print(line(f"all mixed, {TASKS_AT_ONCE} tasks at once", mixed, a_second))
    empty = [name for name, reads in found.items() if not any(reads.rows)]
    slow = [name for name, reads in found.items() if reads.percentile(99) >= READ_MS]
    if empty:
        print(f"\nNo verdict: nothing was ever found by {', '.join(empty)}.")
    holds = "does NOT hold for " + ", ".join(slow) if slow else "holds for all"
    print(f"\n99 of 100 reads under {READ_MS} ms: {holds}")
    return 1 if slow or empty else 0


def main() -> int:
    """Returns 0 if the target holds for every query, 1 if not, or if a query found nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memories", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=300, help="reads of each query (default: 300)")
    parser.add_argument("--database", type=Path, help="keep it here, and use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.database or Path(folder) / "swarm.db"
        return asyncio.run(run(path, options.memories, options.runs))


if __name__ == "__main__":
    sys.exit(main())
