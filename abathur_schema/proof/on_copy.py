"""Checks of `verify` that run on an empty in-memory copy of the schema: constraints and plans."""

import sqlite3
from collections.abc import Iterator, Sequence, Set
from contextlib import closing

from ..declared.check_files import CheckFile
from ..declared.declaration import Declared
from ..schema.difference import Object
from ..schema.model import Schema, Table
from ..schema.scratch import scratch, trust
from ..schema.text import fold
from ..schema.undeclared import undeclared_indexes
from ..storage.connection import settle
from . import trials as trial
from .findings import BY_INIT, IN_SQL, Check, check, remedy_of
from .trials import savepoint

OTHER_ENCODING = (
    "this file keeps its text as UTF-16, which SQLite sorts otherwise than sql/ needs, and a file"
    " cannot change its encoding: while no application runs, load it into a new one (`sqlite3"
    " $database .dump \"SELECT 'PRAGMA user_version = ' || user_version || ';' FROM"
    ' pragma_user_version" | sqlite3 $database.utf8`), run `invoke init --database'
    " $database.utf8`, and have the applications open that"
)
"""What to do where the subtree queries fail in a file whose encoding is not UTF-8."""


def on_copy(connection: sqlite3.Connection, declared: Declared, live: Schema) -> Iterator[Check]:
    """Run the checks on an empty in-memory copy of the live schema, with foreign keys enforced.

    Everything undeclared, constraints included, is left out: it is the application's, and must not
    reject our trial rows.
    """
    wanted, checks = declared.schema, declared.checks
    tables = [
        _only_declared(wanted, live, wanted.tables[name], table)
        for name, table in live.tables.items()
        if name in wanted.tables and table.kind == "table"
    ]
    ours: list[Object] = [
        one for name, one in live.indexes.items() if one.sql and name in wanted.indexes
    ]
    ours += (one for name, one in live.views.items() if name in wanted.views)
    ours += (
        one for name, one in live.tables.items() if name in wanted.tables and one.kind == "virtual"
    )
    ours += (one for name, one in live.triggers.items() if name in wanted.triggers)
    others = undeclared_indexes(wanted, live)
    with closing(scratch()) as copy:
        trust(copy)  # it has nothing but what is declared
        # The same encoding, because UTF-16 text sorts differently.
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()
        copy.execute(f"PRAGMA encoding = '{encoding}'")
        missing = list(_make(copy, [*tables, *ours], declared.creates.keys()))
        if missing:
            yield check("the schema can be copied", "schema", iter(missing), remedy=BY_INIT)
            return
        # Plans come before the application's own indexes, which SQLite might prefer.
        for file in (*checks["plans"], *checks["writes"]):
            faults = trial.plan_faults(copy, file)
            yield check(file.name, file.kind, faults, remedy=remedy_of(file))
        yield check(
            "every declared index has a query in checks/plans/",
            "plans",
            trial.unused_indexes(declared),
            remedy=IN_SQL,
        )
        if others or has_statistics(connection):
            lines = _plans_here(connection, copy, checks["plans"])
            yield check("plans with the indexes and statistics here", "info", lines, info=True)
        settle(copy, declared.settings)
        for file in checks["rejects"]:
            with savepoint(copy):
                rows = trial.taken_rows(copy, live, file)
                yield check(file.name, file.kind, rows, remedy=remedy_of(file))
        for file in checks["accepts"]:
            with savepoint(copy):
                rows = trial.refused_rows(copy, file)
                yield check(file.name, file.kind, rows, remedy=remedy_of(file))
                if file.says.get("tries") == "subtree":
                    yield from _subtrees(copy, declared)


def _only_declared(declared: Schema, live: Schema, wanted: Table, table: Table) -> Table:
    """`table` without anything undeclared."""
    if table.sql == wanted.sql:
        return table
    from ..schema.table_text import (
        only_declared,  # only a table in another form pays for this import
    )

    return table._replace(sql=only_declared(declared, live, wanted, table))


def _subtrees(copy: sqlite3.Connection, declared: Declared) -> Iterator[Check]:
    (encoding,) = copy.execute("PRAGMA encoding").fetchone()
    for file in declared.checks["plans"]:
        if "subtree" in file.says:
            name = f"exactly the subtree: {file.name}"
            faults = trial.subtree_faults(copy, declared.schema, file)
            remedy = remedy_of(file) if encoding == "UTF-8" else OTHER_ENCODING
            yield check(name, "namespaces", faults, remedy=remedy)


def _make(copy: sqlite3.Connection, things: Sequence[Object], needed: Set[str]) -> Iterator[str]:
    """Create `things` in `copy`; yield a line for each that fails and is `needed`."""
    for thing in things:
        try:
            copy.execute(thing.sql)
        except sqlite3.Error as error:
            if fold(thing.name) in needed:
                yield f"{thing.name}: {error}"


def has_statistics(connection: sqlite3.Connection) -> bool:
    """Whether ANALYZE has run on the database."""
    statistics = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'"
    return bool(connection.execute(statistics).fetchone()[0])


def _plans_here(
    connection: sqlite3.Connection, copy: sqlite3.Connection, files: Sequence[CheckFile]
) -> Iterator[str]:
    """The queries whose plan is good on the bare schema, but not on this database."""
    for file in files:
        try:
            here = list(trial.plan_faults(connection, file))
        except sqlite3.OperationalError:  # something is missing, as other checks report
            continue
        if here and not list(trial.plan_faults(copy, file)):
            yield f"{file.name}: {here[0]}"
