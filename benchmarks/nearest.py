"""Search by embedding in a process of its own: `python -m benchmarks.nearest WAY DATABASE RUNS`.

Prints JSON: the milliseconds of the first search and of each later one, and the ids that the last
ones found. `benchmarks/search.py` starts it, with numpy or in a Python that loads extensions.
"""

import asyncio
import json
import random
import sqlite3
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

LIMIT = 10
LAST = 20

Search = Callable[[bytes], list[int]]


def queries(path: Path, number: int) -> list[bytes]:
    """Embeddings to search for, each near that of a document; the same in every process."""
    chance = random.Random(number)
    with closing(sqlite3.connect(path)) as connection:
        (documents,) = connection.execute("SELECT max(id) FROM document_index").fetchone()
        found = []
        for _ in range(number):
            (blob,) = connection.execute(
                "SELECT embedding_blob FROM document_index WHERE id = ?",
                (chance.randrange(documents) + 1,),
            ).fetchone()
            near = [value + chance.gauss(0, 1) for value in array("f", blob)]
            found.append(array("f", near).tobytes())
    return found


def timed(search: Search, wanted: Sequence[bytes]) -> dict[str, Any]:
    """Search for each, one after the other."""
    times, found = [], []
    for one in wanted:
        started = time.perf_counter()
        found.append(search(one))
        times.append((time.perf_counter() - started) * 1000)
    return {"times": times, "found": found[-LAST:]}


def floats_in(path: Path) -> int:
    """The dimensions of the embeddings in a database."""
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("SELECT length(embedding_blob) FROM document_index").fetchone()
    return int(size) // 4


async def ours(path: Path, wanted: Sequence[bytes]) -> dict[str, Any]:
    """`Database.nearest_documents`; at last a document changes before each search."""
    from abathur_schema import Database

    async with Database(path) as db:
        loop = asyncio.get_running_loop()
        times, found, changed = [], [], []
        for one in wanted:
            started = loop.time()
            near = await db.nearest_documents(one, limit=LIMIT)
            times.append((loop.time() - started) * 1000)
            found.append([document.id for document in near])
        for number in range(1, 11):
            async with db.transaction() as conn:
                await conn.execute(
                    "UPDATE document_index SET embedding_blob = embedding_blob WHERE id = ?",
                    (number,),
                )
            started = loop.time()
            await db.nearest_documents(wanted[0], limit=LIMIT)
            changed.append((loop.time() - started) * 1000)
        return {"times": times, "found": found[-LAST:], "changed": changed}


def vec0(path: Path, wanted: Sequence[bytes]) -> dict[str, Any]:
    """The table of sqlite-vec, filled from the documents; it is kept beside the database."""
    import sqlite_vec

    beside = path.with_suffix(".vec0")
    is_new = not beside.exists()
    connection = sqlite3.connect(beside)
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    if is_new:
        connection.execute(f"ATTACH '{path}' AS filled")
        connection.execute(
            "CREATE VIRTUAL TABLE near USING"
            f" vec0(embedding float[{floats_in(path)}] distance_metric=cosine)"
        )
        connection.execute(
            "INSERT INTO near (rowid, embedding) SELECT id, embedding_blob FROM document_index"
        )
        connection.commit()
        return {}
    sql = "SELECT rowid FROM near WHERE embedding MATCH ? AND k = ?"
    return timed(lambda one: [id_ for (id_,) in connection.execute(sql, (one, LIMIT))], wanted)


def usearch(path: Path, wanted: Sequence[bytes]) -> dict[str, Any]:
    """An index in memory, approximate (HNSW), with what the package does by itself."""
    import numpy as np
    from usearch.index import Index

    connection = sqlite3.connect(path)
    floats = floats_in(path)
    index = Index(ndim=floats, metric="cos", dtype="f32")
    rows = connection.execute("SELECT id, embedding_blob FROM document_index")
    started = time.perf_counter()
    while some := rows.fetchmany(20_000):
        vectors = np.frombuffer(b"".join(blob for _, blob in some), np.float32)
        index.add(np.array([id_ for id_, _ in some]), vectors.reshape(len(some), floats))
    seconds = time.perf_counter() - started

    def search(one: bytes) -> list[int]:
        matches = index.search(np.frombuffer(one, np.float32), LIMIT)
        return [int(key) for key in matches.keys]

    return {**timed(search, wanted), "built": seconds}


def main(way: str, path: Path, runs: int) -> None:
    """Search in one way."""
    wanted = queries(path, runs)
    if way == "ours, without numpy":
        sys.modules["numpy"] = None  # type: ignore[assignment]
    if way.startswith("ours"):
        print(json.dumps(asyncio.run(ours(path, wanted))))
    else:
        print(json.dumps({"vec0": vec0, "usearch": usearch}[way](path, wanted)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
