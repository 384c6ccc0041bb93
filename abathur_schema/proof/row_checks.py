"""Look for rows that violate a declared CHECK."""

import sqlite3
from collections.abc import Iterator, Sequence

from ..schema.model import Schema, Table
from ..schema.text import quoted, string, tokens, unquoted


def counts(
    connection: sqlite3.Connection, wanted: Schema, live: Schema
) -> Iterator[tuple[str, str]]:
    """The names of the tables that may have such rows, each with a SELECT that counts them for each
    violated CHECK.

    `integrity_check` does not report them here: SQLite ignores CHECKs in a database opened
    read-only (`sqlite3AddCheckConstraint` in its source).
    """
    for name, table in wanted.tables.items():
        # In an empty table its CHECKs need not be parsed, which takes longer than everything else
        # in a new database.
        if (
            name in live.tables
            and _may_have_rows(connection, table)
            and (checks := _checks_of_columns_there(table, live.tables[name]))
        ):
            yield table.name, _count(table, checks)


def _may_have_rows(connection: sqlite3.Connection, table: Table) -> bool:
    try:
        some = connection.execute(f"SELECT 1 FROM {quoted(table.name)} LIMIT 1").fetchone()
    except sqlite3.DatabaseError:  # damaged: the checks will report it
        return True
    return some is not None


def _checks_of_columns_there(wanted: Table, table: Table) -> list[str]:
    """The declared CHECKs but those of a column that is missing: another check reports that."""
    missing = wanted.column.keys() - table.column.keys()
    return [
        check
        for check in sorted(wanted.checks)
        if not missing or missing.isdisjoint(unquoted(token.text) for token in tokens(check))
    ]


def _count(table: Table, checks: Sequence[str]) -> str:
    counts = ", ".join(
        f"count(*) FILTER (WHERE NOT ({check})) AS c{n}" for n, check in enumerate(checks)
    )
    lines = " UNION ALL ".join(
        f"SELECT c{n} || {string(f' rows break CHECK ({check})')} FROM counted WHERE c{n} > 0"
        for n, check in enumerate(checks)
    )
    return f"WITH counted AS MATERIALIZED (SELECT {counts} FROM {quoted(table.name)}) {lines}"
