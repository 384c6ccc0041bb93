"""Edit the text of a table, an index or a trigger in the schema; tried in memory first."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

from ..errors import CannotReconcileError
from ..schema.create_table import definitions, reference_of
from ..schema.difference import OtherTable
from ..schema.model import Index, Schema, Table, folded, reference, spelled
from ..schema.reading import read_schema
from ..schema.scratch import scratch
from ..schema.table_changes import FormerForeignKey, table_changes
from ..schema.text import fold, quoted, string
from .statement import Statement

SCHEMA_VERSION = "abathur_schema_version"
"""A view that is created and dropped so that SQLite increments the schema version."""


def _asked_for_their_keys(table: Table) -> set[str]:
    """The other tables that foreign keys reference without naming the columns."""
    parts = (one for one in definitions(table.sql) if one.says("references"))
    found = (reference_of(one, clause) for one in parts for clause in one.clauses)
    return {key.parent for key in found if key and not key.key} - {fold(table.name)}


def prove(
    declared: Schema, live: Schema, step: str, texts: Sequence[tuple[OtherTable, str]]
) -> Schema:
    """`live` with its tables created from these texts, in memory: each must be as declared, and
    keep everything undeclared that the live one has. The only indexes in it are those that SQLite
    creates for the constraints of these tables.

    Raises CannotReconcileError.
    """
    asked = {parent for one, _ in texts for parent in _asked_for_their_keys(one.live)}
    asked &= live.tables.keys()
    asked |= {parent for one, _ in texts for parent in _asked_for_their_keys(one.declared)}
    # A step creates the parents that are missing before it changes their children.
    parents = {**declared.tables, **live.tables}
    # A table whose key others look up keeps its old form while they are tried; it is tried alone.
    trials: dict[str, list[tuple[OtherTable, str]]] = {}
    for one, text in texts:
        name = fold(one.live.name)
        trials.setdefault(name if name in asked else "", []).append((one, text))
    tables = dict(live.tables)
    indexes: dict[str, Index] = {}
    for some in trials.values():
        trial = _tried(step, [parents[name] for name in sorted(asked & parents.keys())], some)
        for one, _ in some:
            tables[fold(one.live.name)] = trial.tables[fold(one.live.name)]
            indexes.update((fold(index.name), index) for index in trial.indexes_on(one.live.name))
    made = live._replace(tables=tables, indexes=indexes)
    for one, _ in texts:
        new = tables[fold(one.live.name)]
        wrong = [str(change) for change in table_changes(declared, made, one.declared, new)]
        wrong += [f"{what} would be lost" for what in _lost(live, one, made, new)]
        if wrong:
            raise _unchangeable(step, one, "; ".join(wrong))
    return made


def _tried(step: str, parents: Sequence[Table], texts: Sequence[tuple[OtherTable, str]]) -> Schema:
    with closing(scratch()) as connection:
        for one, text in texts:
            try:
                connection.execute(text)
            except sqlite3.Error as error:
                raise _unchangeable(step, one, str(error)) from error
        for parent in parents:
            with suppress(sqlite3.Error):  # it already exists, as one of these tables
                connection.execute(parent.sql)
        return read_schema(connection)


def _unchangeable(step: str, difference: OtherTable, why: str) -> CannotReconcileError:
    return CannotReconcileError(step, [f"{difference}; and it cannot be changed: {why}"])


def _lost(live: Schema, difference: OtherTable, made: Schema, new: Table) -> Iterator[str]:
    """What no statement could bring back, and what is not declared, that would be lost."""
    wanted, table = difference.declared, difference.live
    for name, column in table.column.items():
        if new.column[name].generated and not column.generated:
            yield f"what was written to column {name} (drop or rename it first)"
        type_ = "" if table.strict and not new.strict and column.type == "ANY" else column.type
        if name not in wanted.column and new.column.get(name) != column._replace(type=type_):
            yield f"column {name}"
    gone = {reference(one.key) for one in difference.changes if isinstance(one, FormerForeignKey)}
    kept = {reference(key) for key in new.foreign_keys}
    for key in sorted(table.foreign_keys, key=spelled):
        if reference(key) not in gone | kept:
            yield f"foreign key {spelled(key)}"
    for check in sorted(table.checks - new.checks):
        yield f"CHECK ({check})"
    unique = {*made.uniques_of(new.name), folded(made.key_of(new))}
    for columns in sorted(live.uniques_of(table.name) - unique):
        yield f"UNIQUE ({', '.join(columns)})"


def by_text(live: Schema, kind: str, name: str, text: str, first: Statement) -> Iterator[Statement]:
    """The statements that replace the text of a table (or another `kind`), by the procedure of the
    SQLite documentation ("ALTER TABLE", "Making Other Kinds Of Table Schema Changes"). `first`
    carries the reason, the guards, and what is reported as made.
    """
    view = quoted(free(SCHEMA_VERSION, live))
    yield first._replace(sql="PRAGMA writable_schema = ON;", made=())
    yield Statement(
        f"UPDATE sqlite_schema SET sql = {string(text)}"
        f" WHERE type = '{kind}' AND name = {string(name)};",
        "its columns, their types and its keys stay, so every row and index keeps its meaning",
        first.made,
    )
    # Only a statement that changes the schema increments its version, whatever it is by then.
    yield Statement(
        f"CREATE VIEW {view} AS SELECT 1;",
        "increments schema_version, so that every other connection reads the schema again",
    )
    yield Statement(f"DROP VIEW {view};", "and nothing of it remains")
    yield Statement("PRAGMA writable_schema = RESET;", "this connection reads it again, too")


def free(name: str, live: Schema) -> str:
    """A variant of `name` that is not in use."""
    while name in {*live.tables, *live.indexes, *live.views, *live.triggers}:
        name += "_"
    return name
