"""Documents with embeddings, and the plainest way to find those nearest to one."""

import math
import random
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

INSERT = (
    "INSERT INTO document_index (id, file_path, title, document_type, content_hash,"
    " embedding_model, embedding_blob) VALUES (:id, 'docs/' || :id || '.md', 'Document ' || :id,"
    " :kind, :id, :model, :blob)"
)


class Embedded(NamedTuple):
    """A document as it is inserted; `blob` is None where it has no embedding."""

    id: int
    kind: str | None
    model: str | None
    blob: bytes | None


def blob(*values: float) -> bytes:
    """Packed float32."""
    return array("f", values).tobytes()


EXTREME = (1.0, 1.0, 1.0, 1e-25, 1e25)
"""Lengths of vectors, some of which do not fit float32 when they are squared."""


def some(
    chance: random.Random, ids: Iterable[int], size: int, scales: Sequence[float] = EXTREME
) -> list[Embedded]:
    """Documents of three types with random vectors of `size` floats, some of them equal."""
    made: list[Embedded] = []
    for number in ids:
        vector = [chance.gauss(0, 1) for _ in range(size)]
        scale = chance.choice(scales)
        embedding = blob(*(value * scale for value in vector))
        if made and chance.random() < 0.1:
            embedding = chance.choice(made).blob or embedding
        made.append(Embedded(number, chance.choice(("note", "code", None)), "m", embedding))
    return made


def insert(path: Path, documents: Iterable[Embedded]) -> None:
    """Insert documents as another program does, and commit."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(INSERT, [one._asdict() for one in documents])


def nearest(
    documents: Sequence[Embedded], wanted: bytes, limit: int, kind: str | None = None
) -> list[tuple[int, float]]:
    """The nearest of comparable documents, as pairs of id and distance."""
    pairs = [
        (one.id, distance(one.blob, wanted))
        for one in documents
        if one.blob is not None and kind in (None, one.kind)
    ]
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))[:limit]


def distance(one: bytes, other: bytes) -> float:
    """The cosine distance, by its definition."""
    a, b = array("f", one), array("f", other)
    cosine = math.fsum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
    return 1 - cosine


def agree(got: list[tuple[int, float]], wanted: list[tuple[int, float]]) -> None:
    """Distances are the same; ids too, where distances are not so near that rounding decides."""
    assert [one[1] for one in got] == pytest.approx([one[1] for one in wanted], abs=1e-9)
    for mine, (id_, far) in zip(got, wanted, strict=True):
        is_tie = sum(abs(other - far) < 1e-9 for _, other in wanted) > 1 or far == wanted[-1][1]
        assert mine[0] == id_ or is_tie
