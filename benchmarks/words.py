"""Search by words among memories whose words are as frequent as those of a language."""

import random
import statistics
import tempfile
import time
from itertools import accumulate
from pathlib import Path

from abathur_schema import Database
from abathur_schema.proof.targets import FULL_TEXT_MS

WORDS = 50_000
LENGTH = 20
RUNS = 1000
INSERTS = 2000
PARTS = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "la",
    "me",
    "ni",
    "po",
    "ru",
    "sa",
    "te",
    "vi",
    "zo",
    "ka",
    "el",
)
WEIGHTS = [*accumulate(1 / (rank + 2.7) for rank in range(WORDS))]
"""Zipf's law, as Mandelbrot has it: the most frequent word is one in twelve."""

INSERT = (
    "INSERT INTO memory_entries (namespace, key, value, memory_type) VALUES (?, ?, ?, 'semantic')"
)


def word(rank: int) -> str:
    """A word of its own for each rank."""
    parts = []
    while True:
        rank, part = divmod(rank, len(PARTS))
        parts.append(PARTS[part])
        if not rank:
            return "".join(parts)


def some(chance: random.Random, number: int) -> str:
    """Words in the order of chance, the frequent ones more often."""
    return " ".join(map(word, chance.choices(range(WORDS), cum_weights=WEIGHTS, k=number)))


def memory(chance: random.Random, number: int) -> tuple[str, str, str]:
    """The namespace, key and value of a memory."""
    namespace = f"user:u{chance.randrange(1000)}:{chance.choice(('notes', 'facts'))}"
    return namespace, f"k{number}", f'{{"text": "{some(chance, LENGTH)}", "n": {number}}}'


async def measure(memories: int) -> list[str]:
    """Print what searches among so many memories take, and inserts; returns the targets missed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "swarm.db"
        chance = random.Random(memories)
        async with Database(path) as db:
            async with db.transaction() as conn:
                await conn.executemany(INSERT, (memory(chance, n) for n in range(memories)))
            without = await inserts(db, memories)
        started = time.perf_counter()
        async with Database(path, search=True) as db:
            made = time.perf_counter() - started
            with_search = await inserts(db, memories + INSERTS)
            print(f"{memories:,} memories of {LENGTH} words; the search was made in {made:.0f} s")
            print(f"an insert: {without:.3f} ms, with search {with_search:.3f} ms", end="")
            print(f" ({with_search / without:.2f} times)\n")
            print(f"{'words':<24} {'found':>6} {'p50 ms':>7} {'p99 ms':>7} {'most ms':>8}")
            missed = []
            for label, number, match, namespace in (
                ("one", 1, "all", False),
                ("two", 2, "all", False),
                ("three", 3, "all", False),
                ("two in a namespace", 2, "all", True),
                ("any of three", 3, "any", False),
            ):
                times, found = [], 0
                for _ in range(RUNS):
                    text = some(chance, number)
                    below = f"user:u{chance.randrange(1000)}" if namespace else None
                    started = time.perf_counter()
                    hits = await db.search(text, namespace=below, match=match)  # type: ignore[arg-type]
                    times.append((time.perf_counter() - started) * 1000)
                    found += bool(hits)
                times.sort()
                slow = times[RUNS * 99 // 100]
                print(
                    f"{label:<24} {found:>6} {statistics.median(times):>7.1f} {slow:>7.1f}"
                    f" {times[-1]:>8.1f}"
                )
                if slow >= FULL_TEXT_MS:
                    missed.append(f"{label}: 99 of 100 under {FULL_TEXT_MS} ms")
    return missed


async def inserts(db: Database, first: int) -> float:
    """The milliseconds of an insert, each a transaction of its own: the median."""
    chance = random.Random(first)
    times = []
    for number in range(first, first + INSERTS):
        row = memory(chance, number)
        started = time.perf_counter()
        async with db.transaction() as conn:
            await conn.execute(INSERT, row)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
