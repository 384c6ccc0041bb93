"""Run the files of `checks/`, on the live database or on a copy of its schema."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, islice, pairwise

from ..declared.check_files import CheckFile, indexes_of
from ..declared.declaration import Declared
from ..schema import text as sql_text
from ..schema.model import Schema
from ..schema.text import fold, normal, quoted

# holds/: SELECTs that return rows that are wrong. One with the parameter `:table` runs for each
# table; `each:` is the prefix of its findings, and `unless: foreign keys hold` skips a table where
# a quicker test proves the same. `counts:` says what the rows are called. With `own:`, what depends
# on a function, collation or module of the application is not a fault. `of: declared` restricts it
# to the tables of `sql/`.


def is_of_each_table(statement: str) -> bool:
    """Whether a SELECT of `holds/` uses the parameter `:table`."""
    found = sql_text.tokens(statement)
    return any(pair == (("sign", ":"), ("word", "table")) for pair in pairwise(found))


def wrong_rows(connection: sqlite3.Connection, statement: str, table: str = "") -> Iterator[str]:
    """The rows that a SELECT of `holds/` returns from the live database."""
    parameters = {"table": table}
    told = 0
    try:
        for row in _rows(connection.execute(statement, parameters)):
            told += 1
            yield from row
    except sqlite3.DatabaseError:
        # Python's sqlite3 loses the row before an error, except when it is the last one fetched.
        again = f"SELECT * FROM ({statement.rstrip(';')}) LIMIT {told + 1}"
        with suppress(sqlite3.DatabaseError):
            yield from chain(*islice(_rows(connection.execute(again, parameters)), told, None))
        raise


def _rows(cursor: sqlite3.Cursor) -> Iterator[list[str]]:
    """Each row as lines, at least one: a single value as it is, several with their names."""
    names = [column[0] for column in cursor.description or ()]
    for row in cursor:
        pairs = (f"{name} {value}" for name, value in zip(names, row, strict=True))
        yield _lines(row[0]) if len(names) == 1 else [", ".join(pairs)]


def _lines(value: object) -> list[str]:
    # An empty value is a row too: it is shown in quotes.
    return [line for line in str(value).splitlines() if line.strip()] or [repr(value)]


# plans/: a query; writes/: a statement that changes rows. `index:` names what it must use: indexes,
# FTS5 tables, or `rowid` for the INTEGER PRIMARY KEY. `sorts:` says why it has to sort.


_FULL_TEXT = re.compile(r"SCAN (?:TABLE )?(\w+) VIRTUAL TABLE INDEX \d+:.*M.*")
"""The line of a query plan for a MATCH (`fts5BestIndexMethod` in SQLite's source)."""


def plan_faults(copy: sqlite3.Connection, file: CheckFile) -> Iterator[str]:
    """What is wrong with SQLite's plan for a statement of `plans/` or `writes/`."""
    wanted = {fold(name): name for name in indexes_of(file)}
    used: set[str] = set()
    subqueries: set[str] = set()
    for (line,) in (row[3:] for row in plan_of(copy, file)):
        verb, _, rest = line.partition(" ")
        if match := _FULL_TEXT.fullmatch(line):
            used.add(fold(match[1]))
        elif verb in ("CO-ROUTINE", "MATERIALIZE"):
            subqueries.add(rest)  # what it reads has lines of its own
        elif verb == "SCAN" and rest in subqueries:
            pass
        elif verb == "SCAN":
            yield f"scans: {line}"
        elif verb == "SEARCH":
            by = re.search(r" USING (?:COVERING )?INDEX (.+?)(?: \(|$)", rest)
            index = fold(by[1]) if by else ""
            if index in wanted:
                used.add(index)
            elif "USING INTEGER PRIMARY KEY" in rest and "rowid" in wanted:
                used.add("rowid")
            elif "PRIMARY KEY" not in rest and not index.startswith("sqlite_autoindex_"):
                yield f"does not use {', '.join(wanted.values())} alone: {line}"
        elif "TEMP B-TREE" in line and "sorts" not in file.says:
            yield f"sorts, though the index should give the order: {line}"
    for index, name in wanted.items():
        if index not in used:
            yield f"does not use {name}"


def plan_of(copy: sqlite3.Connection, file: CheckFile) -> list[tuple[int, int, int, str]]:
    """SQLite's plan for a statement of `plans/` or `writes/`, as rows of EXPLAIN QUERY PLAN."""
    # The plan does not depend on the values, so all parameters are NULL.
    parameters: Mapping[str, None] = defaultdict(lambda: None)
    return copy.execute(f"EXPLAIN QUERY PLAN {file.statements[0]}", parameters).fetchall()


def unused_indexes(declared: Declared) -> Iterator[str]:
    """The declared indexes and virtual tables that no query of `plans/` names."""
    named = {fold(name) for file in declared.checks["plans"] for name in indexes_of(file)}
    for name, index in declared.schema.indexes.items():
        if index.origin == "c" and name not in named:
            yield f"no query in checks/plans/ names {index.name}"
    for name, table in declared.schema.tables.items():
        if table.kind == "virtual" and name not in named:
            yield f"no query in checks/plans/ names {table.name}"


# plans/ with `subtree: COLUMN`: a query for everything below :namespace. `with:` sets the other
# parameters, as `name = value, ...`.


def subtree_faults(copy: sqlite3.Connection, declared: Schema, file: CheckFile) -> Iterator[str]:
    """Where a subtree query does not return exactly the subtree, tried for each that exists."""
    column = file.says["subtree"]
    index = declared.indexes.get(fold(indexes_of(file)[0]))
    if index is None:
        yield f"{indexes_of(file)[0]} is not declared"
        return
    table = index.table
    values = (pair.partition("=") for pair in file.says.get("with", "").split(",") if pair)
    parameters = {name.strip(): value.strip() for name, _, value in values}
    below: dict[str, set[str]] = {}
    for (name,) in copy.execute(
        f"SELECT DISTINCT {quoted(column)} FROM {quoted(table)} WHERE {quoted(column)} IS NOT NULL"
    ):
        parts = name.split(":")
        for length in range(1, len(parts) + 1):
            below.setdefault(":".join(parts[:length]), set()).add(name)
    if not below:
        yield f"checks/accepts/ gives {table} no rows to try it on"
    query = file.statements[0].removesuffix(";")
    for root in sorted(root for root, names in below.items() if names != {root}):
        rows = copy.execute(
            f"SELECT found.{quoted(column)} FROM ({query}) AS found",
            {**parameters, "namespace": root},
        )
        found = {name for (name,) in rows}
        for name in sorted(found - below[root]):
            yield f"below {root!r} it returns {name!r}"
        for name in sorted(below[root] - found):
            yield f"below {root!r} it leaves out {name!r}"


# accepts/: rows that must be accepted; a SELECT among them returns what is wrong afterwards. With
# `tries: subtree`, the subtree queries of plans/ run on its rows.


def refused_rows(copy: sqlite3.Connection, file: CheckFile) -> Iterator[str]:
    """The statements of a file in `accepts/` that are rejected, and what its SELECTs return."""
    for statement in file.statements:
        try:
            cursor = copy.execute(statement)
        except sqlite3.IntegrityError as error:
            yield f"refused: {error}: {_short(statement)}"
        else:
            yield from chain(*_rows(cursor))


# rejects/: rows that must be rejected. The comment before each is SQLite's message for the
# constraint that must reject it; a statement without one is a row that the others need.

_REFUSAL = re.compile(r"(NOT NULL|UNIQUE|CHECK|FOREIGN KEY) constraint failed: (.+)")


def taken_rows(copy: sqlite3.Connection, live: Schema, file: CheckFile) -> Iterator[str]:
    """The statements of a file in `rejects/` that the named constraint does not reject."""
    for statement in file.statements:
        comments = sql_text.comments_before(statement)
        expected = _REFUSAL.fullmatch(comments[-1]) if comments else None
        if not expected:
            copy.execute(statement)
            continue
        refusal = _refusal(copy, statement)
        if refusal is None:
            yield f"accepted, though it must be refused: {expected[0]}: {_short(statement)}"
        elif refusal != expected[0] and normal(expected[0]) not in _meanings(live, refusal):
            yield f"refused by another constraint: {refusal}; expected {expected[0]}"


def refusals_expected(file: CheckFile) -> list[tuple[str, str]]:
    """The constraints that a file in `rejects/` tests: pairs such as ("UNIQUE", "tasks.id")."""
    comments = (sql_text.comments_before(statement)[-1:] for statement in file.statements)
    found = (_REFUSAL.fullmatch(lines[0]) for lines in comments if lines)
    return [(match[1], match[2]) for match in found if match]


def _refusal(copy: sqlite3.Connection, statement: str) -> str | None:
    """The message that rejects `statement`, or None; it leaves no row."""
    with savepoint(copy):
        try:
            copy.execute(statement)
        except sqlite3.IntegrityError as error:
            message = str(error)
        else:
            return None
    if message == "FOREIGN KEY constraint failed":
        return f"{message}: {_violated(copy, statement)}"
    return message


def _meanings(live: Schema, refusal: str) -> Iterator[str]:
    """The normal form of a refusal; for a CHECK, SQLite may give its name, not its expression."""
    yield normal(refusal)
    kind, separator, called = refusal.partition(" constraint failed: ")
    for table in live.tables.values() if kind == "CHECK" else ():
        for check in table.check_constraints:
            if check.called == called:
                yield normal(f"{kind}{separator}{check.expression}")


def _violated(copy: sqlite3.Connection, statement: str) -> str:
    """The child columns of the foreign keys that `statement` violates; SQLite does not say."""
    with savepoint(copy):
        copy.execute("PRAGMA defer_foreign_keys = ON")
        copy.execute(statement)
        rows = copy.execute(
            'SELECT DISTINCT v."table" || \'.\' || k."from" FROM pragma_foreign_key_check AS v'
            ' JOIN pragma_foreign_key_list(v."table") AS k ON k.id = v.fkid'
        ).fetchall()
    copy.execute("PRAGMA defer_foreign_keys = OFF")
    return ", ".join(name for (name,) in rows)


def _short(statement: str) -> str:
    code = (line.strip() for line in statement.splitlines() if not line.strip().startswith("--"))
    return " ".join(code)[:120]


@contextmanager
def savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    """Roll back everything done inside."""
    connection.execute("SAVEPOINT trial")
    try:
        yield
    finally:
        if connection.in_transaction:  # unless ON CONFLICT ROLLBACK has ended it
            connection.execute("ROLLBACK TO trial")
            connection.execute("RELEASE trial")
