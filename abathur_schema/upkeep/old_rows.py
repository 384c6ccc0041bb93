"""What a rule of `sql/retention/` finds old, as SQL; and how much that is now."""

import sqlite3
from collections.abc import Iterator, Sequence, Set
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlite_utils.db import ForeignKey

from ..declared.declaration import bundled
from ..declared.retention import Rule, references
from ..errors import UsageError
from ..schema.model import Schema
from ..schema.text import is_utf8, quoted


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
    """Look at what a rule would remove now. Raises UsageError naming the file of a rule of one's
    own that SQLite cannot run; what one of ours meets is in the database.
    """
    condition = condition_of(live, rule)
    going = f"FROM {quoted(rule.table)} WHERE {condition}"
    try:
        for sql in (still_old(live, rule), *(sql for _, sql in statements(live, rule))):
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
        is_ours = rule.path.parent == bundled("sql") / "retention"
        if is_ours or "interrupted" in str(error) or "locked" in str(error):
            raise
        raise UsageError(f"{rule.path}: {error}. Fix it; nothing was touched.") from error
    return Old(rule, before, rows, hanging, size)


def _measured(
    connection: sqlite3.Connection, live: Schema, table: str, condition: str, before: str
) -> tuple[int, int]:
    """The number of rows, and the bytes of their values as text or BLOB."""
    columns = [
        quoted(one.name)
        for one in live.tables[table].columns
        if not one.generated and is_utf8(one.name)  # Python cannot pass others to SQLite
    ]
    sizes = [f"ifnull(length(CAST({name} AS BLOB)), 0)" for name in columns]
    sums = ", ".join(f"sum({' + '.join(some)})" for some in _chunks(sizes))
    sql = f"SELECT count(*), {sums} FROM {quoted(table)} WHERE {condition}"
    rows, *bytes_ = connection.execute(sql, {"before": before}).fetchone()
    return rows, sum(filter(None, bytes_))


def _chunks(terms: Sequence[str]) -> Iterator[Sequence[str]]:
    """The terms by at most 100: SQLite limits how deep an expression is, and how many SELECTs one
    consists of (SQLite documentation, "Implementation Limits For SQLite").
    """
    for start in range(0, len(terms), 100):
        yield terms[start : start + 100]


def condition_of(live: Schema, rule: Rule) -> str:
    """Which rows of a rule's table go: those that are old, and that nothing refers to but what goes
    along. Otherwise what hangs on one could be gone when SQLite refuses to remove it.
    """
    ours = {rule.table, *rule.hanging}
    held = [
        f"SELECT 1 FROM {quoted(table)} AS held WHERE {_same('held', key, rule.table)}"
        for table, key in _holding(live, rule.table, ours)
    ]
    held += (
        f"SELECT 1 FROM {quoted(name)} AS hangs JOIN {quoted(table)} AS held"
        f" ON {_same('held', key, 'hangs')} WHERE {_same('hangs', own, rule.table)}"
        for name in rule.hanging
        for own in references(live, name, rule.table)
        for table, key in _holding(live, name, ours)
    )
    any_of = (f"EXISTS ({' UNION ALL '.join(some)})" for some in _chunks(held))
    return " AND NOT ".join([f"({rule.condition}\n)", *any_of])


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


def still_old(live: Schema, rule: Rule) -> str:
    """The query for those of the rows `:rows` (a JSON array of rowids) that may go now."""
    table = quoted(rule.table)
    # CROSS JOIN: SQLite must not look for them by an index, among all that are old.
    return (
        f'SELECT {table}.rowid FROM (SELECT value AS "a row" FROM json_each(:rows))'
        f' CROSS JOIN {table} WHERE {table}.rowid = "a row" AND {condition_of(live, rule)}'
    )


def statements(live: Schema, rule: Rule) -> list[tuple[str, str]]:
    """The statements by which the rows `:rows` go, each with its table: what hangs on them first,
    at most `:most` of it.
    """
    table = quoted(rule.table)
    these = "rowid IN (SELECT value FROM json_each(:rows))"
    hanging = [
        (
            name,
            f"DELETE FROM {quoted(name)} WHERE rowid IN (SELECT rowid FROM {quoted(name)} WHERE"
            f" {_list(key.columns)} IN (SELECT {_names(key.other_columns)} FROM {table}"
            f" WHERE {these}) LIMIT :most)",
        )
        for name in rule.hanging
        for key in references(live, name, rule.table)
    ]
    return [*hanging, (rule.table, f"DELETE FROM {table} WHERE {these}")]


def _names(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))


def _list(columns: Sequence[str]) -> str:
    return f"({_names(columns)})"
