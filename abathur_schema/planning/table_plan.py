"""Plan the change of an existing table to its declared form: the cheapest statements that do it.

Columns are added where `ALTER TABLE ... ADD COLUMN` suffices; constraints are changed by editing
the table's text where that does not affect its content; only otherwise it is rebuilt
(`rebuild.py`).
"""

import re
from collections.abc import Mapping, Sequence
from itertools import islice

from ..declared.declaration import Declared
from ..schema.create_table import Definition, definitions, plain
from ..schema.difference import OtherTable
from ..schema.model import Column, Schema, Table, affinity_of
from ..schema.table_changes import MissingColumn, may_be_violated
from ..schema.table_text import comes_with, reformed
from ..schema.text import fold, quoted
from .by_text import by_text, prove
from .statement import Guard, Statement


def change_tables(
    declared: Declared, live: Schema, step: str, found: Sequence[OtherTable]
) -> Mapping[str, list[Statement]]:
    """The cheapest sufficient statements for each table, by its declared name.

    Raises CannotReconcileError where none would keep all content.
    """
    statements: dict[str, list[Statement]] = {}
    texts, others = [], []
    for one in found:
        added = _added(declared, one)
        statements[one.declared.name] = [_add(declared, live, one, text) for text in added.values()]
        if left := tuple(change for change in one.changes if not comes_with(change, added)):
            text = reformed(declared.schema, live, one.declared, one.live, one.changes)
            texts.append((one, text))
            others.append(left)
    made = prove(declared.schema, live, step, texts)
    for (one, text), left in zip(texts, others, strict=True):
        name, table = one.declared.name, one.live
        lacks_columns = any(isinstance(change, MissingColumn) for change in left)
        if lacks_columns or not _has_same_content(live, table, made):
            from .rebuild import rebuild  # only a table that needs it pays for the import

            statements[name] = rebuild(declared, live, step, one, text)
            continue
        guards: tuple[Guard, ...] = ()
        if any(map(may_be_violated, left)):
            from .broken_rows import guards_of  # only what restricts rows pays for this import

            guards = guards_of(declared, live, one._replace(changes=left))
        first = Statement(
            "",
            "\n  ".join([f"table {table.name}, by editing its text:", *map(str, left)]),
            (("tables_changed", table.name),),
            guards,
        )
        statements[name] += by_text(live, "table", table.name, text, first)
    return statements


def _added(declared: Declared, difference: OtherTable) -> dict[str, Definition]:
    """The columns that ALTER TABLE can add, by folded name, whether or not there are rows (SQLite
    documentation, "ALTER TABLE ADD COLUMN").
    """
    wanted = difference.declared
    found = (one.column for one in difference.changes if isinstance(one, MissingColumn))
    missing = {fold(column.name): column for column in found}
    return {
        name: one
        for one in definitions(wanted.sql)
        if (column := missing.get(name := fold(one.column)))
        and _can_be_added(column)
        and not (column.generated or one.has("unique"))
        # SQLite gives no row a parent by a DEFAULT.
        and not (column.default and one.has("references"))
        and (fold(wanted.name), name) not in declared.fills
    }


def is_constant(default: str) -> bool:
    """Whether `ALTER TABLE` accepts a DEFAULT, in normal form, for a table with rows."""
    constant = r"[-+]? ?[\d.]\S*|x?'.*'"
    return bool(re.fullmatch(constant, default, re.DOTALL | re.IGNORECASE))


def _add(declared: Declared, live: Schema, difference: OtherTable, text: Definition) -> Statement:
    name = difference.live.name
    guards: tuple[Guard, ...] = ()
    if text.has("check"):
        from .broken_rows import guards_of  # only a CHECK pays for this import

        added = {fold(text.column): text}
        its = tuple(one for one in difference.changes if comes_with(one, added))
        guards = guards_of(declared, live, difference._replace(changes=its))
    return Statement(
        f"ALTER TABLE {quoted(name)} ADD COLUMN {plain(text.text)};",
        f"table {name}: column {text.column} is missing",
        (("columns_added", f"{name}.{text.column}"),),
        guards,
    )


def _has_same_content(live: Schema, table: Table, made: Schema) -> bool:
    """Whether everything stored in the table and its indexes means the same under the new text, so
    that editing the text is enough. New columns come after all others.
    """
    new = made.tables[fold(table.name)]
    there = len(table.columns)
    return _content(live, table, there) == _content(made, new, there) and not any(
        column.default != new.column[name].default and _may_be_short(live, table, name)
        for name, column in table.column.items()
    )


def _content(schema: Schema, table: Table, first: int) -> tuple[object, ...]:
    """What determines the meaning of values in the `first` columns and in the indexes of keys."""
    columns = [
        (
            name,
            affinity_of(table, column),
            table.collations.get(name),
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
    """Whether rows may predate the ALTER TABLE that added the column: such rows end before it, and
    take its value from its DEFAULT, whatever that is now.
    """
    in_keys = {
        fold(column.name)
        for index in live.indexes_on(table.name)
        for column in index.columns
        if index.origin != "c"
    }
    columns = list(table.column)
    return not any(
        later in in_keys or _came_before_rows(table.column[later])
        for later in columns[columns.index(name) :]
    )


def _came_before_rows(column: Column) -> bool:
    """Whether no ALTER TABLE can have added the column to a table with rows. In doubt it can have:
    what SQLite takes as a constant DEFAULT is more than a pattern can tell.
    """
    if column.key or column.default.startswith("current_"):
        return True
    return column.notnull and not (column.default or column.generated)


def _can_be_added(column: Column) -> bool:
    if column.key:
        return False
    return is_constant(column.default) if column.default else not column.notnull
