"""The statements that bring a table that is there to its declared form: the cheapest that do.

Columns are added where `ALTER TABLE ... ADD COLUMN` is enough, constraints are changed by the text
of the table where that leaves its content alone, and only otherwise it is rebuilt (`rebuild.py`).
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from .connection import scratch
from .create_table import Definition, definitions, plain, reference_of
from .declared import Declared
from .difference import OtherTable
from .errors import CannotReconcileError
from .guards import guards_of
from .schema import Column, Schema, Table, affinity_of, read_schema
from .sql_text import fold, quoted, string
from .statement import Statement
from .table_changes import (
    FormerForeignKey,
    MissingCheck,
    MissingColumn,
    MissingForeignKey,
    TableChange,
    folded,
    reference,
    spelled,
    table_changes,
)
from .table_text import reformed

SCHEMA_VERSION = "abathur_schema_version"
"""What is made and dropped again so that SQLite counts the schema's version up."""


def change_table(
    declared: Declared, live: Schema, step: str, difference: OtherTable
) -> list[Statement]:
    """The cheapest statements that are sufficient.

    Raises CannotReconcileError where none would keep all that is there.
    """
    wanted, table = difference.declared, difference.live
    texts = {fold(one.column): one for one in definitions(wanted.sql) if one.column}
    added = [
        texts[fold(one.column.name)]
        for one in difference.changes
        if isinstance(one, MissingColumn)
        and _can_be_added(one, texts[fold(one.column.name)])
        and (fold(wanted.name), fold(one.column.name)) not in declared.fills
    ]
    adding = [_add(table, text) for text in added]
    columns = {fold(text.column): text for text in added}
    if all(_comes_with(change, columns) for change in difference.changes):
        return adding
    changes = tuple(one for one in difference.changes if not _comes_with(one, columns))
    longer = _with_columns(table, wanted, adding, columns) if adding else table
    if not any(isinstance(one, MissingColumn) for one in changes):
        text = reformed(declared.schema, live, wanted, longer, changes)
        made = prove(declared.schema, live, step, difference, text)
        if _has_same_content(live, longer, made):
            first = Statement(
                "",
                "\n  ".join([f"table {table.name}, by its text alone:", *map(str, changes)]),
                (("tables_changed", table.name),),
                guards_of(declared, live, difference._replace(changes=changes)),
            )
            return [*adding, *by_text(live, "table", table.name, text, first)]
    from .rebuild import rebuild  # only a table that needs it pays for its import

    return rebuild(declared, live, step, difference)


def _can_be_added(missing: MissingColumn, text: Definition) -> bool:
    """Whether ALTER TABLE takes it, with rows and without (SQLite documentation, "ALTER TABLE ADD
    COLUMN").
    """
    column = missing.column
    has_value = bool(column.default)
    if column.key or column.generated or text.has("unique"):
        return False
    return is_constant(column.default) if has_value else not column.notnull


def _comes_with(change: TableChange, added: Mapping[str, Definition]) -> bool:
    """Whether `change` is done when these columns are added."""
    match change:
        case MissingColumn(column):
            return fold(column.name) in added
        case MissingCheck(check):
            return bool(check.column) and fold(check.column) in added
        case MissingForeignKey(key) if len(key.columns) == 1:
            text = added.get(fold(key.columns[0]))
            return text is not None and text.has("references")
    return False


def is_constant(default: str) -> bool:
    """Whether a DEFAULT, in normal form, is one that `ALTER TABLE` takes where there are rows."""
    constant = r"[-+]? ?[\d.]\S*|x?'.*'"
    return bool(re.fullmatch(constant, default, re.DOTALL | re.IGNORECASE))


def _add(table: Table, text: Definition) -> Statement:
    return Statement(
        f"ALTER TABLE {quoted(table.name)} ADD COLUMN {plain(text.text)};",
        f"table {table.name}: column {text.column} is missing",
        (("columns_added", f"{table.name}.{text.column}"),),
    )


def _with_columns(
    table: Table, wanted: Table, adding: Sequence[Statement], columns: Iterable[str]
) -> Table:
    """The table when the columns are added: as SQLite writes it."""
    with closing(scratch()) as connection:
        for sql in (table.sql, *(statement.sql for statement in adding)):
            connection.execute(sql)
        (text,) = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table.name,)
        ).fetchone()
    every = (*table.columns, *(wanted.column[name] for name in columns))
    return replace(table, sql=text, columns=every)


def _made(live: Schema, table: Table, sql: Sequence[str]) -> Schema:
    """`live` with the table as these statements make it, tried in memory; of indexes it has only
    those that SQLite keeps for the constraints. Raises sqlite3.Error.
    """
    with closing(scratch()) as connection:
        for parent in sorted(_asked_for_their_keys(table) & live.tables.keys()):
            with suppress(sqlite3.Error):
                connection.execute(live.tables[parent].sql)
        for statement in sql:
            connection.execute(statement)
        made = read_schema(connection)
    return replace(made, tables={**live.tables, fold(table.name): made.tables[fold(table.name)]})


def _asked_for_their_keys(table: Table) -> set[str]:
    """The other tables that foreign keys reference without saying which columns."""
    found = (reference_of(one, clause) for one in definitions(table.sql) for clause in one.clauses)
    return {key.parent for key in found if key and not key.key} - {fold(table.name)}


def prove(declared: Schema, live: Schema, step: str, difference: OtherTable, text: str) -> Schema:
    """`live` with the table made of `text`, tried in memory: it must be as declared, and have all
    that the live one has and that is not declared.

    Raises CannotReconcileError.
    """
    wanted, table = difference.declared, difference.live
    try:
        made = _made(live, table, [text])
    except sqlite3.Error as error:
        problem = f"{difference}; and it cannot be changed: {error}"
        raise CannotReconcileError(step, [problem]) from error
    new = made.tables[fold(table.name)]
    wrong = [str(one) for one in table_changes(declared, made, wanted, new)]
    wrong += [f"{one} would be lost" for one in _lost(live, difference, made, new)]
    if wrong:
        problem = f"{difference}; and it cannot be changed: {'; '.join(wrong)}"
        raise CannotReconcileError(step, [problem])
    return made


def _lost(live: Schema, difference: OtherTable, made: Schema, new: Table) -> Iterator[str]:
    """What is not declared and would not be there any more."""
    wanted, table = difference.declared, difference.live
    for name, column in table.column.items():
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
    unique = {*made.uniques_of(new.name), folded(wanted.primary_key)}
    for columns in sorted(live.uniques_of(table.name) - unique):
        yield f"UNIQUE ({', '.join(columns)})"


def _has_same_content(live: Schema, table: Table, made: Schema) -> bool:
    """Whether all that is stored of the table, in it and in its indexes, means the same when it is
    made of another text, so that the text alone can be changed.
    """
    new = made.tables[fold(table.name)]
    return _content(live, table) == _content(made, new) and not any(
        column.default != new.column[name].default and _may_be_short(live, table, name)
        for name, column in table.column.items()
    )


def _content(schema: Schema, table: Table) -> tuple[object, ...]:
    columns = [
        (
            name,
            affinity_of(table, column),
            [clause for clause in table.clauses.get(name, ()) if clause.startswith("COLLATE")],
            column.generated,
            column.key,
        )
        for name, column in table.column.items()
    ]
    kept = [one for one in schema.indexes_on(table.name) if one.origin != "c"]
    keys = sorted((fold(one.name), one.origin, tuple(one.columns)) for one in kept)
    options = table.has_rowid_key, table.autoincrement, table.without_rowid, table.strict
    return columns, keys, options


def _may_be_short(live: Schema, table: Table, name: str) -> bool:
    """Whether there may be rows from before `ALTER TABLE` added the column: those end before it,
    and its value in them is its DEFAULT, whatever that is.
    """
    in_keys = {
        fold(column.name)
        for index in live.indexes_on(table.name)
        for column in index.columns
        if index.origin != "c"
    }
    columns = list(table.column)
    return all(
        _can_have_been_added(table.column[later]) and later not in in_keys
        for later in columns[columns.index(name) :]
    )


def _can_have_been_added(column: Column) -> bool:
    if column.key:
        return False
    return is_constant(column.default) if column.default else not column.notnull


def by_text(live: Schema, kind: str, name: str, text: str, first: Statement) -> Iterator[Statement]:
    """The statements that give a table (or what `kind` says) another text, by the procedure of the
    SQLite documentation ("ALTER TABLE", "Making Other Kinds Of Table Schema Changes"); `first` has
    the reason, what to look at before, and what is made.
    """
    view = quoted(free(SCHEMA_VERSION, live))
    yield first._replace(sql="PRAGMA writable_schema = ON;", made=())
    yield Statement(
        f"UPDATE sqlite_schema SET sql = {string(text)}"
        f" WHERE type = '{kind}' AND name = {string(name)};",
        "its columns, their types and its keys stay, so every row and index means what it meant",
        first.made,
    )
    # Only a statement that changes the schema counts its version up, whatever that is by now.
    yield Statement(
        f"CREATE VIEW {view} AS SELECT 1;",
        "schema_version is counted up, so that every other connection reads the schema again",
    )
    yield Statement(f"DROP VIEW {view};", "and nothing is left of it")
    yield Statement("PRAGMA writable_schema = RESET;", "this connection reads it again, too")


def free(name: str, live: Schema) -> str:
    """A name that nothing has."""
    while name in {*live.tables, *live.indexes, *live.views, *live.triggers}:
        name += "_"
    return name
