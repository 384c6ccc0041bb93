"""How long a search by embedding and a search by words take, and what searching costs a write."""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite
import numpy as np

from abathur_schema import Database
from abathur_schema.proof.targets import SEMANTIC_MS
from benchmarks import words

ROOT = Path(__file__).resolve().parent.parent
SIZES = [
    f"{n}x{floats}" for n in (1000, 10_000, 100_000, 300_000, 1_000_000) for floats in (384, 768)
]
CENTERS = 1000
USEARCH_UP_TO = 100_000
TIMES_THE_LIMIT = 3
TIMES_AN_INSERT = 1.6


class Way(NamedTuple):
    """A way to search: its name in the table, and in `benchmarks/nearest.py`; what it needs."""

    label: str
    name: str
    extensions: bool = False
    log: bool = False
    runs: int = 100


SCAN = Way("scan, sqlite-vec", "ours, without numpy", extensions=True, runs=20)
BY_NUMPY = Way("scan, numpy", "ours", runs=10)
KEPT = Way("in memory", "ours", log=True)
WAYS = (SCAN, BY_NUMPY, KEPT)
VEC0 = Way("vec0", "vec0", extensions=True, runs=20)
USEARCH = Way("usearch", "usearch", log=True, runs=1000)


def bandwidth() -> float:
    """Bytes a second that all processors together read from memory: the best of ten readings of one
    gigabyte.
    """
    content = np.ones(1 << 27, np.int64)
    parts = np.array_split(content, os.cpu_count() or 1)
    seconds = []
    with ThreadPoolExecutor(len(parts)) as pool:
        for _ in range(10):
            started = time.perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))
            seconds.append(time.perf_counter() - started)
    return content.nbytes / min(seconds)


async def make(path: Path, documents: int, floats: int) -> None:
    """A database of documents with embeddings around some centers; always the same."""
    chance = np.random.default_rng(documents * floats)
    centers = chance.standard_normal((CENTERS, floats), np.float32)
    async with Database(path) as db, db.transaction() as conn:
        for first in range(0, documents, 10_000):
            number = min(10_000, documents - first)
            vectors = chance.standard_normal((number, floats), np.float32)
            vectors += centers[chance.integers(CENTERS, size=number)]
            await conn.executemany(
                "INSERT INTO document_index (file_path, title, content_hash, embedding_model,"
                " embedding_blob, sync_status) VALUES (?, ?, ?, 'm', ?, 'synced')",
                [
                    (f"docs/{n}.md", f"Document {n}", f"{n:064x}", vectors[n - first].tobytes())
                    for n in range(first, first + number)
                ],
            )


def out_of_cache(path: Path) -> None:
    """Have the operating system forget the content of a file."""
    for one in (path, path.with_suffix(".vec0")):
        if one.exists():
            descriptor = os.open(one, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def search(way: Way, path: Path, python: str) -> dict[str, Any]:
    """Search in a process of its own; returns what it printed."""
    packages = Path(aiosqlite.__file__).parent.parent
    command = [python, "-m", "benchmarks.nearest", way.name, str(path), str(way.runs)]
    paths = f"{ROOT}{os.pathsep}{packages}"
    result = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"},
    )
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def python_with_extensions() -> str | None:
    """A Python of this version that loads extensions, which this one may not."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for command in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        trial = "import sqlite3; sqlite3.Connection.enable_load_extension"
        if (
            Path(command).exists()
            and not subprocess.run(
                [command, "-c", trial], capture_output=True, check=False
            ).returncode
        ):
            return command
    return None


def percentile(times: Sequence[float], percent: int) -> float:
    """The time that so many of 100 do not exceed."""
    return sorted(times)[max(0, -(-len(times) * percent // 100) - 1)]


HEAD = (
    f"{'documents x floats':>19}  {'way':<16} {'cold ms':>8} {'first ms':>8} {'p50 ms':>7}"
    f" {'p99 ms':>7} {'changed':>7} {'x limit':>7} {'recall':>6}"
)


def measure(
    documents: int, floats: int, place: Path, speed: float, usearch: bool
) -> Iterator[tuple[Way, list[float]]]:
    """Search one size in all ways, and print a row for each; yields the times of a cold start."""
    path = place / f"{documents}x{floats}.db"
    asyncio.run(make(path, documents, floats))
    limit = documents * floats * 4 / speed * 1000
    python = python_with_extensions()
    exact: list[list[int]] = []
    peers = (VEC0, USEARCH) if usearch else (VEC0,)
    is_logged = False
    for way in (*WAYS, *peers):
        interpreter = python if way.extensions else sys.executable
        if interpreter is None or (way is USEARCH and not find_spec("usearch")):
            continue
        if way.log and not is_logged:
            asyncio.run(add_search(path))
            is_logged = True
        if way is VEC0:
            search(way, path, interpreter)
        out_of_cache(path)
        cold = search(way, path, interpreter)
        warm = search(way, path, interpreter)["times"]
        if way is KEPT:
            exact = cold["found"]
        later = warm[1:]
        row = f"{documents:>11,} x {floats:>5}  {way.label:<16}"
        row += f" {cold['times'][0]:>8.0f} {warm[0]:>8.0f}" if way is not USEARCH else " " * 18
        row += f" {statistics.median(later):>7.1f} {percentile(later, 99):>7.1f}"
        changed = cold.get("changed")
        row += f" {statistics.median(changed):>7.1f}" if changed else " " * 8
        row += f" {statistics.median(later) / limit:>7.1f}"
        if way is USEARCH:
            hits = sum(
                len({*a} & {*b}) for a, b in zip(exact, again(path, sys.executable), strict=True)
            )
            row += f" {hits / 10 / len(exact):>6.2f}"
        print(row, flush=True)
        yield way, cold["times"]
    for one in place.iterdir():
        one.unlink()


def again(path: Path, python: str) -> list[list[int]]:
    """What usearch finds for the queries whose exact answers are known."""
    found: list[list[int]] = search(USEARCH._replace(runs=KEPT.runs), path, python)["found"]
    return found


async def add_search(path: Path) -> None:
    """Make the optional step of search."""
    async with Database(path, search=True):
        pass


def main() -> int:
    """Measure, and say whether the targets hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="documents, each with its floats")
    parser.add_argument("--memories", type=int, default=1_000_000, help="for the search by words")
    parser.add_argument(
        "--usearch", type=int, default=USEARCH_UP_TO, help="up to so many documents"
    )
    asked = parser.parse_args()
    speed = bandwidth()
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, numpy", end=" ")
    print(f"{np.__version__}, {os.cpu_count()} cores; memory is read at {speed / 1e9:.1f} GB/s\n")
    misses = []
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for documents, floats in (map(int, size.split("x")) for size in asked.sizes):
            is_peer = documents <= asked.usearch
            for way, times in measure(documents, floats, place, speed, is_peer):
                name = f"{documents:,} x {floats}, {way.label}"
                size = documents * floats
                if way is KEPT and size <= 1_000_000 * 384:
                    if sum(one < SEMANTIC_MS for one in times) < 0.99 * len(times):
                        misses.append(f"{name}: 99 of 100 from a cold start under {SEMANTIC_MS} ms")
                    limit = size * 4 / speed * 1000
                    if documents >= 100_000 and statistics.median(times) > TIMES_THE_LIMIT * limit:
                        misses.append(f"{name}: within {TIMES_THE_LIMIT} times the limit")
    print()
    misses += asyncio.run(words.measure(asked.memories))
    print("\n" + ("\n".join(f"missed: {miss}" for miss in misses) or "all targets hold"))
    return bool(misses)


if __name__ == "__main__":
    with closing(sys.stdout):
        sys.exit(main())
