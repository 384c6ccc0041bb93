"""Keep the vectors of all documents in memory, brought up to date by the change log of
`sql/search.sql`.
"""

import sqlite3
from collections.abc import Sequence
from json import dumps
from threading import Lock

from .queries import query
from .vector_scan import ALL, CHANGED, rows
from .vectors import ROWS, Matrix, Near, Wanted

LOG = ("", "_insert", "_update", "_delete")
"""What the names of the change log and its triggers end with."""


class Kept:
    """The matrices that a `Database` keeps, each up to date with one state of the change log."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._state: object = None
        self._matrices: dict[tuple[str | None, int], tuple[Matrix, int]] = {}

    def nearest(self, connection: sqlite3.Connection, wanted: Wanted, file: object) -> Near | None:
        """Begin a transaction, and search in memory what it sees; None if the database has no
        change log. `file` tells it from one that took its place.
        """
        with self._lock:  # one snapshot after the other, none older than the matrix
            begin(connection)
            (version,) = connection.execute("PRAGMA schema_version").fetchone()
            if self._state != (file, version):  # another schema: the log may have been interrupted
                self._matrices.clear()
                self._state = None
                if not _has_log(connection):
                    return None
                self._state = (file, version)
            return self._up_to_date(connection, wanted).nearest(wanted)

    def forget(self, wanted: Wanted, ids: Sequence[int]) -> None:
        """Drop documents that are gone though no trigger said so: REPLACE deletes silently."""
        with self._lock:
            if kept := self._matrices.get((wanted.model, len(wanted.embedding))):
                kept[0].remove(ids)

    def _up_to_date(self, connection: sqlite3.Connection, wanted: Wanted) -> Matrix:
        (last,) = query("last-document-change").execute(connection).fetchone()
        last = last or 0
        name = wanted.model, len(wanted.embedding)
        matrix, seen = self._matrices.get(name, (Matrix(*name), -1))
        if seen != last:
            sql, more = ALL, {}
            if seen >= 0:
                found = query("documents-changed-after").execute(connection, number=seen)
                changed = [id_ for (id_,) in found]
                matrix.remove(changed)
                sql, more = CHANGED, {"ids": dumps(changed)}
            for some in rows(connection, sql, ROWS, **matrix.parameters, **more):
                matrix.add(some)
            self._matrices[name] = matrix, last
        return matrix


def begin(connection: sqlite3.Connection) -> None:
    """Begin a transaction unless there is one, as in a block on the connection of `:memory:`."""
    if not connection.in_transaction:
        connection.execute("BEGIN")


def _has_log(connection: sqlite3.Connection) -> bool:
    names = [f"document_changes{end}" for end in LOG]
    marks = ", ".join("?" * len(names))
    found = f"SELECT count(*) = {len(names)} FROM sqlite_schema WHERE name IN ({marks})"
    return bool(connection.execute(found, names).fetchone()[0])
