"""`forget`: what is old goes, by the rules of `sql/retention/`, in transactions so short that other
writers hardly notice.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlite_utils.db import ForeignKey

from ..declared.declaration import Declared
from ..declared.retention import Rule, references
from ..errors import UsageError
from ..interruption import stop_if_asked
from ..planning.statement import Statement
from ..progress import Progress
from ..schema.model import Schema
from ..schema.text import parameters, quoted, string

SECONDS_HELD, PAUSE = 0.015, 0.025
"""How long a transaction may hold the lock, and the shortest pause after it. A writer that waits
looks again after 1, 2, 5, 10, 15, 20, 25, 25 and 25 ms (`sqliteDefaultBusyCallback` in SQLite's
source): one of these looks falls into the pause."""

LEAST, MOST = 50, 20_000
"""The fewest and the most rows of a transaction; in between, what the time allows."""


class Old(NamedTuple):
    """What a rule would remove: rows of its table, those that hang on them by table, and the bytes
    of the values in all of them.
    """

    rule: Rule
    before: str
    rows: int
    hanging: dict[str, int]
    bytes: int

    def to_json(self) -> dict[str, object]:
        """The same as JSON values."""
        rule = self.rule
        return {
            "rule": rule.name,
            "says": rule.says,
            "before": self.before,
            "rows": {rule.table: self.rows, **self.hanging},
            "bytes": self.bytes,
        }


def before(now: datetime, rule: Rule, older_than: timedelta | datetime | None) -> str:
    """The time that a rule compares with; without `older_than` the rule's own. Raises
    OverflowError.
    """
    limit = (
        older_than
        if isinstance(older_than, datetime)
        else now - (rule.older_than if older_than is None else older_than)
    )
    return limit.isoformat(timespec="seconds")


def old(connection: sqlite3.Connection, live: Schema, rule: Rule, before: str) -> Old:
    """Look at what a rule would remove now. Raises UsageError naming the file of a rule that SQLite
    cannot run.
    """
    condition = condition_of(live, rule)
    going = f"FROM {quoted(rule.table)} WHERE {condition}"
    try:
        for _, sql in statements(live, rule):
            connection.execute(f"EXPLAIN {sql}", {"rows": "[]", "before": before, "most": 1})
        rows, size = _measured(connection, live, rule.table, condition, before)
        hanging = {}
        for table in rule.hanging:
            hangs = " OR ".join(
                f"{_list(key.columns)} IN (SELECT {_names(key.other_columns)} {going})"
                for key in references(live, table, rule.table)
            )
            hanging[table], more = _measured(connection, live, table, hangs, before)
            size += more
    except sqlite3.Error as error:
        if "interrupted" in str(error) or "locked" in str(error):
            raise
        raise UsageError(f"{rule.path}: {error}. Fix it; nothing was touched.") from error
    return Old(rule, before, rows, hanging, size)


def _measured(
    connection: sqlite3.Connection, live: Schema, table: str, condition: str, before: str
) -> tuple[int, int]:
    """The number of rows, and the bytes of their values as text or BLOB."""
    columns = [quoted(one.name) for one in live.tables[table].columns if not one.generated]
    size = " + ".join(f"ifnull(length(CAST({name} AS BLOB)), 0)" for name in columns)
    sql = f"SELECT count(*), ifnull(sum({size}), 0) FROM {quoted(table)} WHERE {condition}"
    rows, bytes_ = connection.execute(sql, {"before": before}).fetchone()
    return rows, bytes_


def condition_of(live: Schema, rule: Rule) -> str:
    """Which rows of a rule's table go: those that are old, and that nothing refers to but what goes
    along. Otherwise what hangs on one could be gone when SQLite refuses to remove it.
    """
    ours = {rule.table, *rule.hanging}
    held = [
        f"EXISTS (SELECT 1 FROM {quoted(table)} AS held WHERE {_same('held', key, rule.table)})"
        for table, key in _holding(live, rule.table, ours)
    ]
    held += (
        f"EXISTS (SELECT 1 FROM {quoted(name)} AS hangs JOIN {quoted(table)} AS held"
        f" ON {_same('held', key, 'hangs')} WHERE {_same('hangs', own, rule.table)})"
        for name in rule.hanging
        for own in references(live, name, rule.table)
        for table, key in _holding(live, name, ours)
    )
    return " AND NOT ".join([f"({rule.condition}\n)", *held])


def _holding(live: Schema, table: str, ours: Set[str]) -> Iterator[tuple[str, ForeignKey]]:
    """The foreign keys to a table that keep its rows, but for those of `ours`."""
    for name in live.tables.keys() - ours:
        for key in references(live, name, table):
            if key.on_delete in ("NO ACTION", "RESTRICT"):
                yield name, key


def _same(child: str, key: ForeignKey, parent: str) -> str:
    return " AND ".join(
        f"{quoted(child)}.{quoted(ours)} = {quoted(parent)}.{quoted(theirs)}"
        for ours, theirs in zip(key.columns, key.other_columns, strict=False)
    )


def statements(live: Schema, rule: Rule) -> list[tuple[str, str]]:
    """The statements of one transaction, each with its table: what hangs on the rows goes first."""
    table = quoted(rule.table)
    # CROSS JOIN: SQLite must not look for them by an index, among all that are old.
    going = (
        f'FROM (SELECT value AS "a row" FROM json_each(:rows)) CROSS JOIN {table}'
        f' WHERE {table}.rowid = "a row" AND {condition_of(live, rule)}'
    )
    hanging = [
        (
            name,
            f"DELETE FROM {quoted(name)} WHERE rowid IN (SELECT rowid FROM {quoted(name)}"
            f" WHERE {_list(key.columns)} IN (SELECT {_names(key.other_columns)} {going})"
            " LIMIT :most)",
        )
        for name in rule.hanging
        for key in references(live, name, rule.table)
    ]
    goes = f"DELETE FROM {table} WHERE rowid IN (SELECT {table}.rowid {going})"
    return [*hanging, (rule.table, goes)]


class Forgetting:
    """A rule at work. `gone` is the number of rows removed by what is committed, by table; `stays`
    are the rowids of rows that could not go, because something else refers to them.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        declared: Declared,
        live: Schema,
        rule: Rule,
        before: str,
        progress: Progress,
    ) -> None:
        self.gone: Counter[str] = Counter()
        self.stays: set[int] = set()
        self._connection = connection
        self._rule = rule
        self._before = before
        self._progress = progress
        self._size = LEAST
        self._trail: int | None = None
        (self._records,) = (
            file.statements[0]
            for file in declared.all_checks["writes"]
            if file.path.stem == "record-action"
        )
        self._record: dict[str, object] = dict.fromkeys(parameters(self._records))
        self._record["memory_operation_type"] = rule.memory_operation
        self._condition = condition_of(live, rule)
        self._deletes = statements(live, rule)

    @property
    def statement(self) -> Statement:
        """What has taken effect: the rule's statement, which ran for some rows at a time."""
        rule = self._rule
        condition = rule.condition.replace(":before", string(self._before))
        counted = ", ".join(f"{number:,} of {table}" for table, number in self.gone.items())
        made = (("rows_deleted", f"{counted} forgotten"),)
        return Statement(f"DELETE FROM {rule.table} WHERE {condition};", rule.says, made)

    def run(self) -> None:
        """Remove what is old, until nothing more can go: a row may go once those below it have.
        Raises Interrupted between two transactions.
        """
        while True:
            done = self.gone.total()
            rows = self._rows(self._condition)
            place = 0
            while place < len(rows):
                self._progress.at(f"{place:,} of {len(rows):,} rows")
                batch = rows[place : place + self._size]
                self._remove(batch)
                place += len(batch)
            if self.gone.total() == done:
                self.stays.update(self._rows(f"({self._rule.condition}\n)"))
                return

    def _rows(self, condition: str) -> list[int]:
        """The rowids of rows that may go, and were not refused yet, in the order of their rowids:
        earlier versions of a memory first.
        """
        sql = f"SELECT rowid FROM {quoted(self._rule.table)} WHERE {condition}"
        found = self._connection.execute(sql, {"before": self._before})
        return sorted(row for (row,) in found if row not in self.stays)

    def _remove(self, rows: Sequence[int]) -> None:
        """Remove those of the rows that are still old, and what hangs on them."""
        try:
            while not self._in_one_transaction(rows):
                pass
        except sqlite3.IntegrityError:  # a foreign key or a trigger of the application
            if len(rows) == 1:
                self.stays.update(rows)
                return
            middle = len(rows) // 2
            self._remove(rows[:middle])
            self._remove(rows[middle:])

    def _in_one_transaction(self, rows: Sequence[int]) -> bool:
        """Whether the rows are gone: if more hangs on them than one transaction should remove, only
        some of that is.
        """
        values = {"rows": json.dumps(rows), "before": self._before, "most": self._size}
        gone: Counter[str] = Counter()
        most, is_whole, trail = self._size, True, self._trail
        with self._transaction():
            for table, sql in self._deletes:
                number = self._connection.execute(sql, values).rowcount
                gone[table] += number
                is_whole = table == self._rule.table or number < most
                if not is_whole:
                    break
            if gone.total():
                trail = self._write_trail(self.gone + gone)
        self.gone += gone  # only now it is committed, and so is the row of the trail
        self._trail = trail
        return is_whole

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._connection
        stop_if_asked()
        connection.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            held = time.monotonic() - started
            fitting = int(self._size * SECONDS_HELD / max(held, 1e-6))
            self._size = max(LEAST, min(fitting, 2 * self._size, MOST))
            time.sleep(max(PAUSE, held))

    def _write_trail(self, gone: Counter[str]) -> int | None:
        """Write how many rows this rule has removed into the audit trail, one row for each run;
        return its id.
        """
        rule = self._rule
        data = json.dumps({"rule": rule.name, "before": self._before, "rows": dict(gone)})
        if self._trail is not None:
            self._connection.execute(UPDATE_TRAIL, (data, self._trail))
            return self._trail
        values = {**self._record, "action_type": "forget", "action_data": data}
        return self._connection.execute(self._records, values).lastrowid


UPDATE_TRAIL = "UPDATE audit SET action_data = ? WHERE id = ?"


def _names(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))


def _list(columns: Sequence[str]) -> str:
    return f"({_names(columns)})"
