"""`verify`: the proof that a database is what `sql/` declares and that `checks/` hold.

Strictly read-only. The live database is read in one transaction, so all checks see one state and
hold up no writer; constraints and query plans are tried on a copy of its schema in memory. There
SQLite plans without statistics (ANALYZE), so that a plan tells of the schema, not of today's rows.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from . import checks as trial
from .checks import Check, check, check_files, savepoint
from .connection import connect, unsettled
from .declared import SCHEMA_STEPS, Declared, declared
from .diagnosis import explain
from .difference import differences, redundant, undeclared, without_index
from .progress import Progress
from .schema import Index, Schema, Table, fold, read_schema


def verify(database: Path, progress: Progress) -> tuple[list[Check], Schema | None]:
    """All checks, and the live schema that they saw (None when it cannot be read)."""
    found: list[Check] = []
    try:
        with closing(connect(database, "ro")) as connection:
            connection.execute("BEGIN")
            live = read_schema(connection)
            found.extend(_all(connection, declared(), live, progress))
            return found, live
    except sqlite3.Error as error:
        finding = f"{error}: {explain(error, database).cause}"
        return [*found, check("the database can be read", "holds", iter([finding]))], None


def _all(
    connection: sqlite3.Connection, wanted: Declared, live: Schema, progress: Progress
) -> Iterator[Check]:
    yield check("settings of sql/pragma.sql", "settings", _settings(connection))
    for step in SCHEMA_STEPS:
        lines = map(str, differences(wanted.schema, live, wanted.steps[step]))
        yield check(f"{step}: as declared", "schema", lines)
    names = [name for name, index in wanted.schema.indexes.items() if index.origin == "c"]
    repeats = redundant(wanted.schema, names)
    yield check("no declared index is redundant", "schema", _reasons(wanted.schema, repeats))
    missing = without_index(live, wanted.schema.tables)
    yield check("every foreign key has an index", "schema", iter(missing))
    for file in check_files("holds"):
        progress.now(f"verify: {file.name}")
        yield check(file.name, file.kind, trial.wrong_rows(connection, file))
    progress.now("verify: constraints and query plans")
    try:
        copy = _copy(live, wanted.schema)
    except sqlite3.Error as error:
        yield check("the schema can be copied", "schema", iter([str(error)]))
    else:
        with closing(copy):
            yield from _on_copy(copy, wanted.schema, live)
    others = [name for name, one in live.indexes.items() if one.origin == "c" and name not in names]
    repeats = redundant(live, others)
    yield check("redundant indexes", "info", _reasons(live, repeats), info=True)
    yield check("not managed here", "info", iter(undeclared(wanted.schema, live)), info=True)


def _on_copy(copy: sqlite3.Connection, wanted: Schema, live: Schema) -> Iterator[Check]:
    for file in check_files("plans"):
        yield check(file.name, file.kind, trial.plan_faults(copy, file))
    yield check(
        "every declared index has a query in checks/plans/", "plans", trial.unused_indexes(wanted)
    )
    with savepoint(copy):
        for file in check_files("accepts"):
            if file.path.name == trial.SUBTREE_ROWS:
                for _ in trial.refused_rows(copy, file):
                    pass  # told below, as a check of its own
        for file in check_files("plans"):
            if "subtree" in file.says:
                name = f"exactly the subtree: {file.name}"
                yield check(name, "namespaces", trial.subtree_faults(copy, wanted, file))
    for file in check_files("rejects"):
        with savepoint(copy):
            yield check(file.name, file.kind, trial.taken_rows(copy, live, file))
    for file in check_files("accepts"):
        with savepoint(copy):
            yield check(file.name, file.kind, trial.refused_rows(copy, file))


def _copy(live: Schema, wanted: Schema) -> sqlite3.Connection:
    """An empty database in memory with the live tables and indexes, and foreign keys enforced.

    Triggers are the application's and stay out; so does what is not declared and cannot be made
    here (it may need a function or a collation that only the application has).
    """
    copy = sqlite3.connect(":memory:", isolation_level=None)
    tables = [table for table in live.tables.values() if table.kind == "table"]
    indexes = [index for index in live.indexes.values() if index.sql]
    things: list[Table | Index] = [*tables, *indexes]
    for thing in things:
        try:
            copy.execute(thing.sql)
        except sqlite3.Error:
            if fold(thing.name) in wanted.tables or fold(thing.name) in wanted.indexes:
                copy.close()
                raise
    copy.execute("PRAGMA foreign_keys = ON")
    return copy


def _settings(connection: sqlite3.Connection) -> Iterator[str]:
    for setting, value in unsettled(connection):
        yield f"{setting.name} is {value}; declared is {setting.value}"


def _reasons(schema: Schema, repeats: dict[str, str]) -> Iterator[str]:
    for name, reason in repeats.items():
        yield f"index {schema.indexes[name].name} is not needed: {reason}"
