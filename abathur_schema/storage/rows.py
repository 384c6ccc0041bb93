"""Rows that came from elsewhere, in a cursor of SQLite: by name or position, for a row factory."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NoReturn, Protocol
from weakref import WeakValueDictionary

from ..errors import BatchError
from ..schema.text import is_utf8, quoted
from .deeds import COPY, HELD_OPEN, NOT_KNOWN_YET
from .exact_values import Parameters, Value, storable


class Runs(Protocol):
    """What a cursor asks of its connection."""

    def run(self, sql: str, parameters: Parameters, cursor: "Rows") -> "Rows":
        """Run a statement into a cursor."""


class Rows(sqlite3.Cursor):
    """The result of a statement on a cluster; not known for a write that is not committed yet."""

    connection: Runs  # type: ignore[assignment]  # a ClusterConnection
    answer: Sequence[Sequence[Value]] = ()
    is_pending = False
    changed = -1
    last: int | None = None

    @property
    def rowcount(self) -> int:
        """The number of rows written; -1 where it is not known."""
        return self.changed

    @property
    def lastrowid(self) -> int | None:
        """The rowid of the row inserted last, by a write outside of a transaction."""
        return self.last

    def execute(self, sql: str, parameters: Any = ()) -> "Rows":
        """Run a statement."""
        return self.connection.run(sql, parameters, self)

    def executemany(self, sql: str, rows: Iterable[Any]) -> "Rows":
        """Run a statement for each of `rows`."""
        for parameters in rows:
            self.connection.run(sql, parameters, self)
        return self

    def executescript(self, script: str) -> NoReturn:
        """Not possible: it would commit what is open."""
        raise BatchError(HELD_OPEN)

    def fetchone(self) -> Any:
        """The next row, or None."""
        self._check()
        return super().fetchone()

    def fetchmany(self, *args: Any, **kwargs: Any) -> list[Any]:
        """The next rows."""
        self._check()
        return super().fetchmany(*args, **kwargs)

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        self._check()
        return super().fetchall()

    def __next__(self) -> Any:
        self._check()
        return super().__next__()

    def empty(self) -> None:
        """Forget the result of the statement before."""
        self.is_pending, self.changed, self.last, self.answer = False, -1, None, ()
        self.fill("")

    def fill(self, sql: str, parameters: Any = ()) -> "Rows":
        """Run a statement on the connection's own database in memory."""
        super().execute(sql, parameters)
        return self

    def _check(self) -> None:
        if self.is_pending:
            raise BatchError(NOT_KNOWN_YET)


class WithoutFile(sqlite3.Connection):
    """What a connection to a file has, and one to a cluster does in another way, or cannot do."""

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> Literal[False]:
        """End the transaction. Python's own way would not send it."""
        if kind:
            self.rollback()
        else:
            self.commit()
        return False

    def executescript(self, script: str) -> NoReturn:
        """Not possible: it would commit what is open."""
        raise BatchError(HELD_OPEN)

    def backup(self, *_: object, **__: object) -> NoReturn:
        """Not possible: only the schema is here."""
        raise BatchError(COPY)

    def serialize(self, *_: object, **__: object) -> NoReturn:
        """Not possible: only the schema is here."""
        raise BatchError(COPY)


class Results:
    """The results that cursors of one connection have not been read to their ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursors: WeakValueDictionary[int, Rows] = WeakValueDictionary()
        connection.create_function("abathur_cell", 3, self._cell)

    def give(self, cursor: Rows, names: Sequence[str], rows: Sequence[Sequence[Value]]) -> Rows:
        """Let the cursor have these rows."""
        cursor.answer = rows
        key = id(cursor)
        self._cursors[key] = cursor
        columns = []
        for place, name in enumerate(names):
            cell = f"abathur_cell({key}, i, {place})"
            if not all(is_utf8(one) for row in rows if isinstance(one := row[place], str)):
                is_text = f"abathur_cell({key}, i, {-1 - place})"
                cell = f"iif({is_text}, CAST({cell} AS TEXT), {cell})"
            columns.append(f"{cell} AS {quoted(name)}")
        return cursor.fill(
            f"WITH RECURSIVE n(i) AS (SELECT 0 WHERE {len(rows)} UNION ALL SELECT i + 1 FROM n"
            f" WHERE i + 1 < {len(rows)}) SELECT {', '.join(columns)} FROM n"
        )

    def _cell(self, key: int, row: int, column: int) -> Value:
        answer = self._cursors[key].answer[row]
        return isinstance(answer[-1 - column], str) if column < 0 else storable(answer[column])
