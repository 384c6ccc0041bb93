"""Compare an embedding with those of all documents in the table, without keeping any in memory: in
SQL by sqlite-vec, or by numpy where Python cannot load extensions.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .vectors import SPARE, Matrix, Near, Row, Wanted, merged

AT_ONCE = 1 << 20
"""Bytes of embeddings that are read at once where none are kept: they stay in the cache."""

_CAN = (
    "embedding_model IS :model AND length(embedding_blob) = :size"
    " AND typeof(embedding_blob) = 'blob'"
)
_OF = "FROM document_index NOT INDEXED WHERE embedding_blob IS NOT NULL"

ALL = f"SELECT id, document_type, CASE WHEN {_CAN} THEN embedding_blob END {_OF}"
"""All embedded documents, with the embeddings that can be compared."""

CHANGED = f"{ALL} AND id IN (SELECT value FROM json_each(:ids))"

_WANTED = "id BETWEEN :first AND :last AND (:kind IS NULL OR document_type = :kind)"
_DISTANCE = f"CASE WHEN {_CAN} THEN vec_distance_cosine(embedding_blob, :embedding) END"

NEAREST = f"""
SELECT id, {_DISTANCE} AS distance {_OF} AND {_WANTED} ORDER BY distance LIMIT :limit"""
"""The nearest by sqlite-vec; first those without a distance, which hardly ever exist. It
computes in float32: vectors longer than 1e19 or shorter than 1e-15 get a wrong distance, or none.
"""

NEAREST_ONLY = f"SELECT * FROM ({NEAREST.replace('ORDER', 'AND distance IS NOT NULL ORDER')})"

LEFT_OUT = f"SELECT count(*) {_OF} AND {_WANTED} AND {_DISTANCE} IS NULL"


def scan(connection: sqlite3.Connection, wanted: Wanted) -> Near:
    """Search by numpy without keeping anything."""
    near = Near([], 0, 0)
    size = len(wanted.embedding)
    at_once = max(1, AT_ONCE // size)
    for some in rows(connection, ALL, at_once, model=wanted.model, size=size):
        matrix = Matrix(wanted.model, size)
        matrix.add(some)
        near = merged(near, matrix.nearest(wanted), wanted.limit + SPARE)
    return near


def scan_in_sql(connections: Sequence[sqlite3.Connection], wanted: Wanted) -> Near:
    """Search by sqlite-vec, which is loaded, on all connections in parallel: they see one state of
    the database, and each searches a range of ids.
    """
    (first, last) = connections[0].execute("SELECT min(id), max(id) FROM document_index").fetchone()
    if first is None:
        return Near([], 0, 0)
    number = len(connections)
    starts = [first + (last - first + 1) * n // number for n in range(number)]
    ends = [*(start - 1 for start in starts[1:]), last]
    parts = [*zip(connections, starts, ends, [wanted] * number, strict=True)]
    with ThreadPoolExecutor(number) as pool:
        others = [pool.submit(_part, *part) for part in parts[1:]]
        near = _part(*parts[0])  # in this thread: that of `:memory:` may not leave it
        for other in others:
            near = merged(near, other.result(), wanted.limit + SPARE)
    return near


def _part(connection: sqlite3.Connection, first: int, last: int, wanted: Wanted) -> Near:
    values = {
        "embedding": wanted.embedding,
        "model": wanted.model,
        "size": len(wanted.embedding),
        "kind": wanted.document_type,
        "limit": wanted.limit + SPARE,
        "first": first,
        "last": last,
    }
    cursor = connection.cursor()
    cursor.row_factory = None
    found = cursor.execute(NEAREST, values).fetchall()
    if not found or found[0][1] is not None:
        return Near(found, len(found), 0)
    found = cursor.execute(NEAREST_ONLY, values).fetchall()
    (left_out,) = cursor.execute(LEFT_OUT, values).fetchone()
    return Near(found, len(found), left_out)


def load_sqlite_vec(connection: sqlite3.Connection) -> bool:
    """Load sqlite-vec into a connection; returns whether that was possible."""
    try:
        import sqlite_vec

        connection.enable_load_extension(True)  # not in every build of Python
    except (ImportError, AttributeError):
        return False
    try:
        sqlite_vec.load(connection)
    except sqlite3.OperationalError:
        return False
    finally:
        connection.enable_load_extension(False)
    return True


def has_numpy() -> bool:
    """Whether numpy can be imported; imports it."""
    try:
        import numpy  # noqa: F401
    except ImportError:
        return False
    return True


def rows(
    connection: sqlite3.Connection, sql: str, at_once: int, **values: Any
) -> Iterator[list[Row]]:
    """The rows of a query like `ALL`, some at once."""
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute(sql, values)
    while some := cursor.fetchmany(at_once):
        yield some
