"""Search by embedding: exact, of one model at a time, and what anyone has committed is found."""

import random
import re
import sqlite3
from array import array
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import numpy as np
import pytest

from abathur_schema import AbathurError, Database
from tests.support.embeddings import INSERT, Embedded, agree, blob, insert, nearest, some

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


async def test_model_with_embeddings_of_several_sizes(found: Database) -> None:
    insert(found.path, [Embedded(1, None, "m", blob(1, 0)), Embedded(2, None, "m", blob(1, 0, 0))])
    assert await ids(found, 1, 0) == [1]
    assert await ids(found, 1, 0, 0) == [2]
    there = re.escape("There are: m (2 floats), m (3 floats).")
    with pytest.raises(AbathurError, match=there):
        await found.nearest_documents([1, 0, 0, 0])


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
