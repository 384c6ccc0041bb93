"""Rows whose parent is missing, read from a database."""

import sqlite3
from collections import Counter
from typing import NamedTuple

MAX_SHOWN = 20


class Violations(NamedTuple):
    """How many rows have no parent, by child table, parent and column; `first` are some of them,
    each as one line.
    """

    counts: Counter[str]
    first: tuple[str, ...]

    @property
    def total(self) -> int:
        """The number of all."""
        return self.counts.total()


def violations(connection: sqlite3.Connection) -> Violations:
    """Go through all rows of all tables (`PRAGMA foreign_key_check`).

    A table whose foreign key SQLite calls a mismatch counts as one line of its own.
    """
    counts: Counter[str] = Counter()
    first: list[str] = []
    children = connection.execute(
        "SELECT DISTINCT t.name FROM sqlite_schema AS t, pragma_foreign_key_list(t.name)"
        " WHERE t.type = 'table' AND t.sql NOT LIKE 'CREATE VIRTUAL %' ORDER BY t.name"
    ).fetchall()
    for (table,) in children:
        columns: dict[int, list[str]] = {}
        for number, column in connection.execute(
            'SELECT id, "from" FROM pragma_foreign_key_list(?) ORDER BY seq', (table,)
        ):
            columns.setdefault(number, []).append(column)
        try:
            for rowid, parent, number in connection.execute(
                "SELECT rowid, parent, fkid FROM pragma_foreign_key_check(?)", (table,)
            ):
                names = ", ".join(columns[number])
                counts[f"{table}.{names} -> {parent}"] += 1
                if len(first) < MAX_SHOWN:
                    first.append(f"table {table}, row {rowid}: {names} has no row in {parent}")
        except sqlite3.OperationalError as error:
            counts[f"{table}: {error}"] += 1
            first.append(f"table {table}: {error}")
    return Violations(counts, tuple(first))
