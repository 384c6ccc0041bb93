"""The statements that bring a table that is there to its declared form: the cheapest that do.

Columns are added where `ALTER TABLE ... ADD COLUMN` is enough, constraints are changed by the text
of the table where that leaves its content alone, and only otherwise it is rebuilt (`rebuild.py`).
"""

import re
from collections.abc import Mapping, Sequence
from itertools import islice

from ..declared.declaration import Declared
from ..schema.create_table import Definition, definitions, plain
from ..schema.difference import OtherTable
from ..schema.model import Column, Schema, Table, affinity_of
from ..schema.table_changes import MissingColumn
from ..schema.table_text import comes_with, reformed
from ..schema.text import fold, quoted
from .broken_rows import guards_of
from .by_text import by_text, prove
from .statement import Statement


def change_tables(
    declared: Declared, live: Schema, step: str, found: Sequence[OtherTable]
) -> Mapping[str, list[Statement]]:
    """For each table, by its declared name, the cheapest statements that are sufficient.

    Raises CannotReconcileError where none would keep all that is there.
    """
    statements, left, texts = {}, {}, []
    for one in found:
        added = _added(declared, one)
        name, table = one.declared.name, one.live
        statements[name] = [_add(table, text) for text in added.values()]
        left[name] = tuple(change for change in one.changes if not comes_with(change, added))
        if left[name]:
            text = reformed(declared.schema, live, one.declared, table, one.changes)
            texts.append((one, text))
    made = prove(declared.schema, live, step, texts)
    for one, text in texts:
        name, table, changes = one.declared.name, one.live, left[one.declared.name]
        has_all = not any(isinstance(change, MissingColumn) for change in changes)
        if has_all and _has_same_content(live, table, made):
            first = Statement(
                "",
                "\n  ".join([f"table {table.name}, by its text alone:", *map(str, changes)]),
                (("tables_changed", table.name),),
                guards_of(declared, live, one._replace(changes=changes)),
            )
            statements[name] += by_text(live, "table", table.name, text, first)
        else:
            from .rebuild import rebuild  # only a table that needs it pays for its import

            statements[name] = rebuild(declared, live, step, one, text)
    return statements


def _added(declared: Declared, difference: OtherTable) -> dict[str, Definition]:
    """The columns that ALTER TABLE can add, by folded name."""
    texts = {fold(one.column): one for one in definitions(difference.declared.sql) if one.column}
    missing = [one for one in difference.changes if isinstance(one, MissingColumn)]
    return {
        name: texts[name]
        for name, one in ((fold(one.column.name), one) for one in missing)
        if _can_be_added(one, texts[name])
        and (fold(difference.declared.name), name) not in declared.fills
    }


def _can_be_added(missing: MissingColumn, text: Definition) -> bool:
    """Whether ALTER TABLE takes it, with rows and without (SQLite documentation, "ALTER TABLE ADD
    COLUMN").
    """
    column = missing.column
    has_value = bool(column.default)
    if column.key or column.generated or text.has("unique"):
        return False
    return is_constant(column.default) if has_value else not column.notnull


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


def _has_same_content(live: Schema, table: Table, made: Schema) -> bool:
    """Whether all that is stored of the table, in it and in its indexes, means the same when it is
    made of another text, so that the text alone can be changed. New columns come after all others.
    """
    new = made.tables[fold(table.name)]
    there = len(table.columns)
    return _content(live, table, there) == _content(made, new, there) and not any(
        column.default != new.column[name].default and _may_be_short(live, table, name)
        for name, column in table.column.items()
    )


def _content(schema: Schema, table: Table, first: int) -> tuple[object, ...]:
    """What decides what the values mean in the `first` columns, and in the indexes of keys."""
    columns = [
        (
            name,
            affinity_of(table, column),
            [clause for clause in table.clauses.get(name, ()) if clause.startswith("COLLATE")],
            column.generated,
            column.key,
        )
        for name, column in islice(table.column.items(), first)
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
