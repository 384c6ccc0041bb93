"""`verify`: the proof that a database is what `sql/` declares and that `checks/` hold.

Strictly read-only. The live database is read in one transaction, so all checks see one state and
hold up no writer; constraints and query plans are tried on a copy of its schema in memory. There
SQLite plans without statistics (ANALYZE) and without the application's own indexes, so that a plan
tells of what is declared, not of today's rows; where the two differ, that is told as information.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import closing
from pathlib import Path

from . import checks as trial
from .checks import Check, check, check_files, savepoint
from .connection import connect, settle, unsettled
from .declared import SCHEMA_STEPS, Declared, declared
from .diagnosis import NOT_OPENED, explain
from .difference import differences, undeclared, undeclared_indexes
from .errors import AbathurError
from .progress import Progress
from .redundancy import redundant, without_index
from .schema import Index, Schema, Table, fold, read_schema


def verify(database: Path, progress: Progress) -> tuple[list[Check], Schema | None]:
    """All checks, and the live schema that they saw (None when it cannot be read).

    Raises sqlite3.OperationalError when the database is locked or may not be opened: then nothing
    is known of it, right or wrong.
    """
    found: list[Check] = []
    try:
        with closing(connect(database, "ro")) as connection:
            connection.execute("BEGIN")
            live = read_schema(connection)
            found.extend(_all(connection, declared(), live, progress))
            return found, live
    except AbathurError:
        raise
    except Exception as error:  # what cannot be read is not proven, whatever the reason
        cause = explain(error, database)
        if cause in NOT_OPENED:
            raise
        finding = f"{error}: {cause.cause}; {cause.remedy}"
        return [*found, check("the database can be read", "holds", iter([finding]))], None


def _all(
    connection: sqlite3.Connection, wanted: Declared, live: Schema, progress: Progress
) -> Iterator[Check]:
    yield check("settings of sql/pragma.sql", "settings", _settings(connection))
    for step in SCHEMA_STEPS:
        yield check(f"{step}: as declared", "schema", _differences(wanted, live, step))
    names = [name for name, index in wanted.schema.indexes.items() if index.origin == "c"]
    yield check("no declared index is redundant", "schema", _redundant(wanted.schema, names))
    unserved = without_index(wanted.schema, live)
    yield check("every foreign key has an index", "schema", unserved)
    for file in check_files("holds"):
        progress.now(f"verify: {file.name}")
        found = check(file.name, file.kind, trial.wrong_rows(connection, file), counts=file.counts)
        yield found
        if found.status == "fail" and any("integrity_check" in sql for sql in file.statements):
            yield check("where the damage is", file.kind, _damaged(connection, live))
    progress.now("verify: constraints and query plans")
    yield from _on_copy(connection, wanted.schema, live)
    others = [fold(index.name) for index in undeclared_indexes(wanted.schema, live)]
    yield check("redundant indexes", "info", _redundant(live, others), info=True)
    yield check("not managed here", "info", map(str, undeclared(wanted.schema, live)), info=True)


def _on_copy(connection: sqlite3.Connection, wanted: Schema, live: Schema) -> Iterator[Check]:
    """What is tried on an empty copy of the live schema in memory, foreign keys enforced.

    Triggers are the application's and stay out; so do its indexes that constrain nothing, and what
    cannot be made here (it may need a function or a collation that only the application has).
    """
    tables = [table for table in live.tables.values() if table.kind == "table"]
    ours = [index for name, index in live.indexes.items() if index.sql and name in wanted.indexes]
    others = undeclared_indexes(wanted, live)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        # Of the same encoding: in UTF-16 text sorts otherwise.
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()
        copy.execute(f"PRAGMA encoding = '{encoding}'")
        missing = list(_make(copy, [*tables, *ours], {*wanted.tables, *wanted.indexes}))
        if missing:
            yield check("the schema can be copied", "schema", iter(missing))
            return
        # Plans before the application's own indexes: SQLite may like those better.
        for file in check_files("plans"):
            yield check(file.name, file.kind, trial.plan_faults(copy, file))
        yield check(
            "every declared index has a query in checks/plans/",
            "plans",
            trial.unused_indexes(wanted),
        )
        if others or _has_statistics(connection):
            lines = _plans_here(connection, copy)
            yield check("plans with the indexes and statistics here", "info", lines, info=True)
        list(_make(copy, [index for index in others if index.unique], set()))
        settle(copy)
        for file in check_files("rejects"):
            with savepoint(copy):
                yield check(file.name, file.kind, trial.taken_rows(copy, live, file))
        for file in check_files("accepts"):
            with savepoint(copy):
                yield check(file.name, file.kind, trial.refused_rows(copy, file))
                if file.says.get("tries") == "subtree":
                    yield from _subtrees(copy, wanted)


def _subtrees(copy: sqlite3.Connection, wanted: Schema) -> Iterator[Check]:
    for file in check_files("plans"):
        if "subtree" in file.says:
            name = f"exactly the subtree: {file.name}"
            yield check(name, "namespaces", trial.subtree_faults(copy, wanted, file))


def _make(
    copy: sqlite3.Connection, things: Sequence[Table | Index], needed: Set[str]
) -> Iterator[str]:
    """Make `things` in `copy`; of those that cannot be made and are `needed`, a line each."""
    for thing in things:
        try:
            copy.execute(thing.sql)
        except sqlite3.Error as error:
            if fold(thing.name) in needed:
                yield f"{thing.name}: {error}"


def _has_statistics(connection: sqlite3.Connection) -> bool:
    statistics = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'"
    return bool(connection.execute(statistics).fetchone()[0])


def _plans_here(connection: sqlite3.Connection, copy: sqlite3.Connection) -> Iterator[str]:
    """The queries that SQLite plans well on the bare schema and otherwise on this database."""
    for file in check_files("plans"):
        here = list(trial.plan_faults(connection, file))
        if here and not list(trial.plan_faults(copy, file)):
            yield f"{file.name}: {here[0]}"


def _differences(wanted: Declared, live: Schema, step: str) -> Iterator[str]:
    yield from map(str, differences(wanted.schema, live, wanted.steps[step]))


def _damaged(connection: sqlite3.Connection, live: Schema) -> Iterator[str]:
    """The tables in which, or in whose indexes, SQLite finds damage; asked one by one."""
    first_pages = dict(connection.execute("SELECT rootpage, name FROM sqlite_schema"))
    for table in live.tables.values():
        if table.kind == "virtual":
            continue
        try:
            # The first finding alone: after it there may be an error, by which it would be lost.
            first = "SELECT integrity_check FROM pragma_integrity_check(?) LIMIT 1"
            (found,) = connection.execute(first, (table.name,)).fetchone()
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            *_, line = found.splitlines()
            page = re.search(r"[Pp]age (\d+)", line)
            owner = first_pages.get(int(page[1])) if page else None
            is_first = f" (the first page of {owner})" if owner else ""
            yield f"in table {table.name} or an index of it: {line}{is_first}"


def _settings(connection: sqlite3.Connection) -> Iterator[str]:
    for setting, value in unsettled(connection):
        yield f"{setting.name} is {value}; declared is {setting.value}"


def _redundant(schema: Schema, names: Iterable[str]) -> Iterator[str]:
    for name, reason in redundant(schema, names).items():
        yield f"index {schema.indexes[name].name} is not needed: {reason}"
