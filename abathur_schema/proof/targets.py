"""The performance targets, and whether a database is within what `benchmarks/` measured them on."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress

from ..schema.model import Schema

TARGETS = "performance targets"
"""The name of the check that tells."""

READ_MS = 50
"""The time limit of each query in `checks/plans/`, in milliseconds."""

FULL_TEXT_MS = 50
"""The time limit of a search by words."""

SEMANTIC_MS = 500
"""The time limit of a search by embedding."""

MEMORIES = 1_000_000
"""How many memories there were when reads and searches by words were measured."""

VECTORS = 300_000 * 768 * 4
"""How many bytes the embeddings of one model had when searches by embedding were measured."""


def within(connection: sqlite3.Connection, live: Schema) -> Iterator[str]:
    """A line for each target that concerns what is in the database."""
    with suppress(sqlite3.DatabaseError):  # damaged or not as declared: other checks report it
        (memories,) = connection.execute("SELECT count(*) FROM memory_entries").fetchone()
        if memories:
            here = _compared(memories, MEMORIES, "memories")
            yield f"reads in {READ_MS} ms: {here}"
            if "memory_search" in live.tables:
                yield f"full-text search in {FULL_TEXT_MS} ms: {here}"
        (size,) = connection.execute(_LARGEST).fetchone()
        if size:
            yield f"semantic search in {SEMANTIC_MS} ms: {_compared(size, VECTORS, 'bytes')}"


_LARGEST = """
SELECT max(documents * bytes)
  FROM (SELECT count(*) AS documents,
               (SELECT length(one.embedding_blob)
                  FROM document_index AS one
                 WHERE one.embedding_model = d.embedding_model AND one.embedding_blob IS NOT NULL
                 LIMIT 1) AS bytes
          FROM document_index AS d
         WHERE embedding_model IS NOT NULL
         GROUP BY embedding_model)"""
"""The bytes of the embeddings of one model, that with the most: read from an index."""


def _compared(here: int, measured: int, what: str) -> str:
    side = "within" if here <= measured else "BEYOND"
    return f"{side} what was measured ({here:,} {what} here, {measured:,} measured)"
