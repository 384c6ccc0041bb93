"""Find rows whose parent is missing."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Set
from typing import Any, NamedTuple

from sqlite_utils.db import ForeignKey

from ..schema.model import Schema, Table, affinity
from ..schema.text import fold, quoted


class Violations(NamedTuple):
    """The number of rows without a parent, by child table, columns and parent; `first` are some of
    them, one line each. `unchecked` are tables that SQLite cannot check: one of their foreign keys
    references columns that do not exist or are not unique.
    """

    counts: Counter[str]
    first: tuple[str, ...]
    unchecked: frozenset[str] = frozenset()

    @property
    def total(self) -> int:
        """The number of all rows without a parent."""
        return self.counts.total()


MAX_SHOWN = 20


def violations(
    connection: sqlite3.Connection, live: Schema, leave_out: Set[str] = frozenset()
) -> Violations:
    """The findings of `PRAGMA foreign_key_check` in all tables of `live`, except for the foreign
    keys whose `named` form is in `leave_out`.

    A table for which SQLite reports a mismatch counts as one line.
    """
    counts: Counter[str] = Counter()
    first: list[str] = []
    unchecked = set()
    for table in live.tables.values():
        asked = [key for key in table.foreign_keys if named(key) not in leave_out]
        if all_hold(connection, live, table._replace(foreign_keys=frozenset(asked))):
            continue
        try:
            for key, line in _rows(connection, table.name):
                if key in leave_out:
                    continue
                counts[key] += 1
                if len(first) < MAX_SHOWN:
                    first.append(line)
        except sqlite3.OperationalError as error:
            if "mismatch" not in str(error):
                raise
            counts[f"{table.name}: {error}"] += 1
            first.append(f"table {table.name}: {error}")
            unchecked.add(fold(table.name))
    return Violations(counts, tuple(first), frozenset(unchecked))


def without_parent(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """The rows of `PRAGMA foreign_key_check`: table, rowid, parent, number of the foreign key.

    SQLite stops at a table with a foreign key that it cannot check. That table then counts as one
    row, of which rowid and number are None, and hides none of the others.
    """
    try:
        return [tuple(row) for row in connection.execute("PRAGMA foreign_key_check").fetchall()]
    except sqlite3.OperationalError as error:
        if not _MISMATCH.search(str(error)):
            raise
    found: list[tuple[Any, ...]] = []
    for (table,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
    ).fetchall():
        check = 'SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check(?)'
        try:
            found += [tuple(row) for row in connection.execute(check, (table,)).fetchall()]
        except sqlite3.OperationalError as error:
            mismatch = _MISMATCH.search(str(error))
            if not mismatch:
                raise
            found.append((table, None, mismatch[1], None))
    return found


_MISMATCH = re.compile(r'foreign key mismatch - ".*" referencing "(.*)"', re.DOTALL)


def named(key: ForeignKey) -> str:
    """A foreign key as it is named in the counts of violations."""
    return fold(f"{key.table}({', '.join(key.columns)}) -> {key.other_table}")


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, str]]:
    """The rows that SQLite finds in one table, each with its key in the counts."""
    columns: dict[int, list[str]] = {}
    for number, column in connection.execute(
        'SELECT id, "from" FROM pragma_foreign_key_list(?) ORDER BY seq', (table,)
    ):
        columns.setdefault(number, []).append(column)
    for rowid, parent, number in connection.execute(
        "SELECT rowid, parent, fkid FROM pragma_foreign_key_check(?)", (table,)
    ):
        names = ", ".join(columns[number])
        line = f"table {table}, row {rowid}: {names} has no row in {parent}"
        yield fold(f"{table}({names}) -> {parent}"), line


def all_hold(connection: sqlite3.Connection, live: Schema, table: Table) -> bool:
    """Whether every foreign key of a table holds, as far as a quick test can prove it; if not, run
    SQLite's check. In a database with damaged indexes neither is reliable.

    Raises sqlite3.DatabaseError where the table cannot be read.
    """
    return all(_holds(connection, live, table, key) for key in table.foreign_keys)


def _holds(connection: sqlite3.Connection, live: Schema, table: Table, key: ForeignKey) -> bool:
    """Whether a quick test proves that a foreign key holds: each of its values has a parent.

    It reads the values in index order, so that the parents are found in order too: on large tables
    several times faster than SQLite's check, which goes row by row. What would differ from that
    (several columns, no index on the parent, another collation there) is left to SQLite's check, as
    is `rowid`, which is not always what it seems.
    """
    child = table.column[fold(key.columns[0])]
    parent = live.tables.get(fold(key.other_table))
    if len(key.columns) > 1 or not parent or affinity(child.type) == "BLOB":
        return False
    other = fold(str(key.other_columns[0]))
    if other == "rowid" or other not in parent.column or parent.clauses.get(other):
        return False
    is_rowid = parent.column[other].type == "INTEGER" and (other,) == parent.folded_key
    if not is_rowid and not any(
        index.unique
        and not index.where
        and [(fold(c.name), c.collation) for c in index.columns] == [(other, "BINARY")]
        for index in live.indexes_on(parent.name)
    ):
        return False
    # The plus removes the child's affinity: the parent's decides, as in SQLite's own check.
    orphans = (
        f"SELECT 1 FROM {quoted(table.name)} AS c WHERE c.{quoted(child.name)} IS NOT NULL"
        f" AND NOT EXISTS (SELECT 1 FROM {quoted(parent.name)} AS p"
        f" WHERE p.{quoted(other)} = +c.{quoted(child.name)}) LIMIT 1"
    )
    return connection.execute(orphans).fetchone() is None
