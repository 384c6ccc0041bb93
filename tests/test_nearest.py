"""Search by embedding: exact, of one model at a time, and what anyone has committed is found."""

import asyncio
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from array import array
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import numpy as np
import pytest

from abathur_schema import AbathurError, Database
from tests.support.commands import ROOT, environment, invoke_command
from tests.support.embeddings import INSERT, Embedded, blob, insert, nearest, some
from tests.support.machine import python_with_extensions

SIZE = 12

PACKAGES = str(Path(aiosqlite.__file__).parent.parent)


@pytest.fixture(params=["with a log of changes", "without"])
async def found(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database in a file, with the optional step of search and without it."""
    is_logged = request.param == "with a log of changes"
    async with Database(tmp_path / "swarm.db", search=is_logged) as database:
        yield database


async def ids(db: Database, *vector: float, **more: Any) -> list[int]:
    return [one.id for one in await db.nearest_documents(vector, **more)]


def agree(got: list[tuple[int, float]], wanted: list[tuple[int, float]]) -> None:
    """Distances are the same; ids too, where distances are not so near that rounding decides."""
    assert [one[1] for one in got] == pytest.approx([one[1] for one in wanted], abs=1e-9)
    for mine, (id_, far) in zip(got, wanted, strict=True):
        is_tie = sum(abs(other - far) < 1e-9 for _, other in wanted) > 1 or far == wanted[-1][1]
        assert mine[0] == id_ or is_tie


@pytest.mark.parametrize("search", [True, False])
@pytest.mark.parametrize("path", ["swarm.db", ":memory:"])
async def test_is_what_comparing_one_by_one_finds(tmp_path: Path, path: str, search: bool) -> None:
    chance = random.Random(1)
    documents = some(chance, range(1, 3001), SIZE)
    place = path if path == ":memory:" else tmp_path / path
    async with Database(place, search=search) as db:
        async with db.transaction() as conn:
            await conn.executemany(INSERT, [one._asdict() for one in documents])
        for limit in (1, 10, 400, 5000):
            for kind in (None, "note", "nothing of it"):
                wanted = blob(*(chance.gauss(0, 1) for _ in range(SIZE)))
                got = await db.nearest_documents(wanted, limit=limit, document_type=kind)
                agree(
                    [(one.id, one.distance or 0.0) for one in got],
                    nearest(documents, wanted, limit, kind),
                )
                assert got.left_out == 0


async def test_all_forms_of_an_embedding_are_the_same(found: Database) -> None:
    insert(found.path, some(random.Random(2), range(1, 50), 3))
    forms: list[Any] = [
        [0.5, -1, 2],
        (0.5, -1.0, 2.0),
        array("d", [0.5, -1, 2]),
        blob(0.5, -1, 2),
        bytearray(blob(0.5, -1, 2)),
        memoryview(blob(0.5, -1, 2)),
        np.array([0.5, -1, 2]),
        np.array([0.5, -1, 2], np.float32),
        np.array([9, 0.5, 9, -1, 9, 2], np.float32)[1::2],
        (value for value in (0.5, -1, 2)),
    ]
    results = [await found.nearest_documents(form) for form in forms]
    assert len(results[0]) == 10
    assert all(result == results[0] for result in results)


WRONG: dict[str, tuple[Any, str]] = {
    "empty": ([], "is empty"),
    "not a number": ([1.0, float("nan"), 0.0], "not finite"),
    "infinite": ([1.0, float("inf"), 0.0], "not finite"),
    "larger than float32": ([1e39, 0.0, 0.0], "not finite"),
    "without direction": ([0.0, 0.0, 0.0], "all zeros"),
    "bytes that end within a float": (b"12345", "not an embedding"),
    "text": ("1, 2, 3", "not an embedding"),
    "texts": (["1", "2", "3"], "not an embedding"),
    "None": (None, "not an embedding"),
    "a number": (1.0, "not an embedding"),
    "a matrix": (np.ones((1, 3)), "not an embedding"),
    "another length": (
        [1.0, 2.0],
        "no document has an embedding of 2 floats. There are: m (3 floats)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_embedding_is_an_error_that_says_so(found: Database, case: str) -> None:
    insert(found.path, some(random.Random(3), range(1, 5), 3))
    embedding, message = WRONG[case]
    with pytest.raises(AbathurError) as error:
        await found.nearest_documents(embedding)
    assert message in str(error.value)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None, 1 << 63])
async def test_wrong_limit_is_an_error(found: Database, limit: Any) -> None:
    with pytest.raises(AbathurError, match="limit is"):
        await found.nearest_documents([1.0], limit=limit)


async def test_without_documents_nothing_is_found(found: Database) -> None:
    assert await ids(found, 1.0) == []
    insert(found.path, [Embedded(1, None, None, None)])
    assert await ids(found, 1.0) == []


async def test_one_model_at_a_time(found: Database) -> None:
    insert(
        found.path,
        [
            Embedded(1, "note", "small", blob(1, 0)),
            Embedded(2, "note", "large", blob(1, 0, 0)),
            Embedded(3, "code", "small", blob(1, 1)),
            Embedded(4, "note", "small", None),
        ],
    )
    result = await found.nearest_documents([1, 0.1])
    assert ([one.id for one in result], result.left_out) == ([1, 3], 1)
    result = await found.nearest_documents([1, 0.1], document_type="code")
    assert ([one.id for one in result], result.left_out) == ([3], 0)
    assert await ids(found, 1, 0, 0) == [2]
    with pytest.raises(AbathurError, match="no document of the model large has an embedding of 2"):
        await found.nearest_documents([1, 0], embedding_model="large")
    with pytest.raises(AbathurError, match="no document of the model tiny"):
        await found.nearest_documents([1, 0], embedding_model="tiny")
    insert(found.path, [Embedded(5, "note", "other", blob(0, 1))])
    with pytest.raises(AbathurError, match="2 models have embeddings of 2 floats: other, small"):
        await found.nearest_documents([1, 0])
    assert await ids(found, 1, 0, embedding_model="other") == [5]
    assert await ids(found, 1, 0, embedding_model="small") == [1, 3]


async def test_embeddings_without_a_model_are_compared(found: Database) -> None:
    insert(found.path, [Embedded(1, None, None, blob(1, 0)), Embedded(2, None, None, blob(0, 1))])
    assert await ids(found, 0, 1) == [2, 1]


async def test_what_cannot_be_compared_is_left_out_and_counted(found: Database) -> None:
    """An application writes what it likes; nothing of it may be the nearest, or an error."""
    nan = float("nan")
    insert(
        found.path,
        [
            Embedded(1, "note", "m", blob(1, 0)),
            Embedded(2, "note", "m", blob(0, 0)),
            Embedded(3, "code", "m", blob(nan, 1)),
            Embedded(4, "note", "m", blob(float("inf"), 1)),
            Embedded(5, "note", "m", blob(1, 0) + b"x"),
            Embedded(6, "note", "m", b""),
        ],
    )
    with closing(sqlite3.connect(found.path)) as connection, connection:
        connection.execute(INSERT, Embedded(7, "note", "m", "12345678")._asdict())  # type: ignore[arg-type]
    result = await found.nearest_documents([1, 1], embedding_model="m")
    assert ([one.id for one in result], result.left_out) == ([1], 6)
    result = await found.nearest_documents([1, 1], embedding_model="m", document_type="note")
    assert ([one.id for one in result], result.left_out) == ([1], 5)


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


async def test_file_in_the_place_of_another_is_found(found: Database, tmp_path: Path) -> None:
    """As `restore` puts it there: with the same counters, but other rows."""
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
    other.replace(found.path)
    assert await ids(found, 1, 0) == [1, 3, 2]


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


PROGRAM = """
import asyncio, json, sqlite3, sys
import abathur_schema
from abathur_schema import Database

async def main():
    {before}
    async with Database(sys.argv[1]) as db:
        found = []
        for wanted, limit, kind in json.loads(sys.stdin.read()):
            blob = bytes.fromhex(wanted)
            near = await db.nearest_documents(blob, limit=limit, document_type=kind)
            found.append([near.left_out, [(one.id, one.distance) for one in near]])
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.mark.parametrize("rows", [50, 4000])
async def test_sqlite_vec_finds_the_same(tmp_path: Path, rows: int) -> None:
    """In a process whose Python loads extensions, as that of the tests may not."""
    python = python_with_extensions()
    path = tmp_path / "swarm.db"
    chance = random.Random(4)
    documents = some(chance, range(1, rows), SIZE, scales=(1.0, 1e-6, 1e6))
    others = some(chance, range(rows, rows + 30), SIZE + 1)
    async with Database(path):
        insert(path, [*documents, *others, Embedded(rows + 30, None, "m", bytes(4 * SIZE))])
    asked = [
        (blob(*(chance.gauss(0, 1) for _ in range(SIZE))), limit, kind)
        for limit in (1, 10, 300)
        for kind in (None, "code")
    ]
    result = subprocess.run(
        [python, "-c", PROGRAM.format(before="sys.modules['numpy'] = None"), str(path)],
        input=json.dumps([(wanted.hex(), *more) for wanted, *more in asked]),
        capture_output=True,
        text=True,
        check=False,
        env=environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), PACKAGES])},
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    for (wanted, limit, kind), (left_out, pairs) in zip(asked, found, strict=True):
        agree(pairs, nearest(documents, wanted, limit, kind))
        assert left_out == sum(kind in (None, one.kind) for one in others) + (kind is None)


def test_without_numpy_and_extensions_the_error_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    before = "sys.modules['numpy'] = sys.modules['sqlite_vec'] = None"
    command = [sys.executable, "-c", PROGRAM.format(before=before), str(path)]
    asked = json.dumps([(blob(1, 0).hex(), 1, None)])
    result = subprocess.run(
        command, input=asked, capture_output=True, text=True, check=False, env=environment()
    )
    assert result.returncode == 1
    assert "pip install 'abathur-schema[search]'" in result.stderr.splitlines()[-1]


def test_who_does_not_search_imports_nothing_of_it(tmp_path: Path) -> None:
    """A `Database` is used without numpy; what sqlite-utils imports for itself is told apart."""
    program = PROGRAM.format(before="sys.modules['numpy'] = sys.modules['sqlite_vec'] = None")
    for command in (
        [sys.executable, "-c", program, str(tmp_path / "swarm.db")],
        [sys.executable, "-X", "importtime", *invoke_command("init")[1:]],
    ):
        result = subprocess.run(
            command,
            input="[]",
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env=environment(),
        )
        assert not re.search(r"\| +(numpy|pandas|sqlite_vec)\b", result.stderr)
