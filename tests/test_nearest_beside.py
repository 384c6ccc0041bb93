"""Search by embedding: what others commit is found, in files that change and are replaced."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from abathur_schema import Database
from tests.support.commands import environment
from tests.support.embeddings import INSERT, Embedded, blob, insert


@pytest.fixture(params=["with a log of changes", "without"])
async def found(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database in a file, with the optional step of search and without it."""
    is_logged = request.param == "with a log of changes"
    async with Database(tmp_path / "swarm.db", search=is_logged) as database:
        yield database


async def ids(db: Database, *vector: float, **more: Any) -> list[int]:
    return [one.id for one in await db.nearest_documents(vector, **more)]


CHANGES = {
    "a new document": (INSERT, [1, 9, 2, 3]),
    "deleted": ("DELETE FROM document_index WHERE id = 1", [2, 3]),
    "replaced under another id": (
        "INSERT OR REPLACE INTO document_index (id, file_path, title, content_hash,"
        " embedding_model, embedding_blob) VALUES (8, 'docs/1.md', 't', 'h', 'm', :away)",
        [2, 3, 8],
    ),
    "replaced by nothing": (
        "INSERT OR REPLACE INTO document_index (file_path, title, content_hash)"
        " VALUES ('docs/1.md', 't', 'h')",
        [2, 3],
    ),
    "moved over another": (
        "UPDATE OR REPLACE document_index SET file_path = 'docs/1.md' WHERE id = 3",
        [2, 3],
    ),
    "another embedding": (
        "UPDATE document_index SET embedding_blob = :away WHERE id = 1",
        [2, 3, 1],
    ),
    "no embedding": ("UPDATE document_index SET embedding_blob = NULL WHERE id = 1", [2, 3]),
    "another model": ("UPDATE document_index SET embedding_model = 'n' WHERE id = 1", [2, 3]),
    "another id": ("UPDATE document_index SET id = 7 WHERE id = 1", [7, 2, 3]),
    "exchanged ids": (
        "UPDATE document_index SET id = CASE id WHEN 1 THEN -3 WHEN 3 THEN -1 ELSE id END",
        [-3, 2, -1],
    ),
    "another type": ("UPDATE document_index SET document_type = 'code' WHERE id <> 2", [2]),
    "another title": ("UPDATE document_index SET title = 'new' WHERE id = 1", [1, 2, 3]),
    "all gone": ("DELETE FROM document_index", []),
    "through a table that is dropped": (
        "ALTER TABLE document_index ADD COLUMN more TEXT",
        [1, 2, 3],
    ),
}


@pytest.mark.parametrize("case", CHANGES)
async def test_what_another_process_commits_is_found(found: Database, case: str) -> None:
    await _three(found)
    statement, wanted = CHANGES[case]
    values = {"id": 9, "kind": "note", "model": "m", "blob": blob(1, 0), "away": blob(-1, 0)}
    named = {name: value for name, value in values.items() if f":{name}" in statement}
    program = (
        "import ast, sqlite3, sys; connection = sqlite3.connect(sys.argv[1]);"
        "connection.execute(sys.argv[2], ast.literal_eval(sys.argv[3])); connection.commit()"
    )
    command = [sys.executable, "-c", program, str(found.path), statement, repr(named)]
    subprocess.run(command, check=True, env=environment())
    kind = {"document_type": "note"} if case == "another type" else {}
    assert await ids(found, 1, 0, embedding_model="m", **kind) == wanted
    assert await ids(found, 1, 0, embedding_model="m", **kind) == wanted


async def _three(db: Database) -> None:
    """Three documents, which a search has seen."""
    insert(
        db.path,
        [
            Embedded(1, "note", "m", blob(1, 0)),
            Embedded(2, "note", "m", blob(1, 1)),
            Embedded(3, "note", "m", blob(0, 1)),
        ],
    )
    assert await ids(db, 1, 0) == [1, 2, 3]


@pytest.mark.parametrize("put", [os.replace, shutil.copy])
async def test_file_in_the_place_of_another_is_found(
    found: Database, tmp_path: Path, put: Callable[[Path, Path], object]
) -> None:
    """As `restore` or `cp` puts it there: with the same counters, but other rows. What `cp` writes
    is the same file for the file system.
    """
    await _three(found)
    with closing(sqlite3.connect(found.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other = tmp_path / "other.db"
        shutil.copy(found.path, other)
    with closing(sqlite3.connect(found.path)) as connection, connection:
        connection.execute(
            "UPDATE document_index SET embedding_blob = ? WHERE id = 1", [blob(-1, 0)]
        )
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute(
            "UPDATE document_index SET embedding_blob = ? WHERE id = 2", [blob(-1, 0)]
        )
    assert await ids(found, 1, 0) == [2, 3, 1]
    await found.close()
    put(other, found.path)
    assert await ids(found, 1, 0, limit=1) == [1]
    assert await ids(found, 1, 0) == [1, 3, 2]


async def test_memory_that_is_closed_is_forgotten() -> None:
    for search in (True, False):
        db = Database(":memory:", search=search)
        for near, far in (("a.md", "b.md"), ("b.md", "a.md")):
            await db.initialize()
            for path in ("a.md", "b.md"):
                await db.index_document(
                    path, content=path, embedding=[path == near, path == far], embedding_model="m"
                )
            (one,) = await db.nearest_documents([1, 0], limit=1)
            assert one.file_path == near
            await db.close()


async def test_changes_while_the_log_was_interrupted_are_found(tmp_path: Path) -> None:
    async with Database(tmp_path / "swarm.db", search=True) as db:
        await _three(db)
        with closing(sqlite3.connect(db.path)) as connection, connection:
            (trigger,) = connection.execute(
                "SELECT sql FROM sqlite_schema WHERE name = 'document_changes_update'"
            ).fetchone()
            connection.execute("DROP TRIGGER document_changes_update")
            connection.execute(
                "UPDATE document_index SET embedding_blob = ? WHERE id = 1", [blob(-1, 0)]
            )
            connection.execute(trigger)
        assert await ids(db, 1, 0) == [2, 3, 1]


@pytest.mark.parametrize("path", ["swarm.db", ":memory:"])
@pytest.mark.parametrize("search", [True, False])
async def test_what_is_rolled_back_is_forgotten(tmp_path: Path, path: str, search: bool) -> None:
    place = path if path == ":memory:" else tmp_path / path
    async with Database(place, search=search) as db:
        async with db.transaction() as conn:
            await conn.execute(INSERT, Embedded(1, None, "m", blob(1, 0))._asdict())
        assert await ids(db, 1, 0) == [1]
        async with db.connection() as conn:
            await conn.execute(INSERT, Embedded(2, None, "m", blob(1, 0))._asdict())
            assert await ids(db, 1, 0) == ([1, 2] if path == ":memory:" else [1])
            await conn.rollback()
        assert await ids(db, 1, 0) == [1]


async def test_each_finds_what_it_has_just_written(found: Database) -> None:
    """Fifty write and search at once; a search that began after a commit knows of it."""

    async def write(number: int) -> None:
        vector = [float(number == position) for position in range(50)]
        async with found.transaction() as conn:
            await conn.execute(INSERT, Embedded(number, None, "m", blob(*vector))._asdict())
        (one,) = await found.nearest_documents(vector, limit=1)
        assert (one.id, one.distance) == (number, 0.0)

    await asyncio.gather(*(write(number) for number in range(50)))
