"""The statements that bring a table that is there to its declared form: the cheapest that do.

Columns are added where `ALTER TABLE ... ADD COLUMN` is enough: its time does not depend on the
rows. Otherwise the table is made anew (`rebuild.py`).
"""

import re
from collections.abc import Mapping

from .create_table import Definition, definitions, plain
from .declared import Declared
from .difference import OtherTable
from .schema import Schema
from .sql_text import fold, quoted
from .statement import Statement
from .table_changes import MissingCheck, MissingColumn, MissingForeignKey, TableChange


def change_table(
    declared: Declared, live: Schema, step: str, difference: OtherTable
) -> list[Statement]:
    """The cheapest statements that are sufficient.

    Raises CannotReconcileError where none would keep all that is there.
    """
    missing = [one for one in difference.changes if isinstance(one, MissingColumn)]
    texts = {fold(one.column): one for one in definitions(difference.declared.sql) if one.column}
    table = fold(difference.declared.name)
    added = {
        fold(one.column.name): texts[fold(one.column.name)]
        for one in missing
        if _can_be_added(one, texts[fold(one.column.name)])
        and (table, fold(one.column.name)) not in declared.fills
    }
    if all(_comes_with(change, added) for change in difference.changes):
        return [_add(difference, text) for text in added.values()]
    from .rebuild import rebuild  # only a table that needs it pays for its import

    return rebuild(declared, live, step, difference)


def _can_be_added(missing: MissingColumn, text: Definition) -> bool:
    """Whether ALTER TABLE takes it, with rows and without (SQLite documentation, "ALTER TABLE ADD
    COLUMN").
    """
    column = missing.column
    has_value = bool(column.default)
    is_constant = re.fullmatch(r"[-+]? ?[\d.]\S*|x?'.*'", column.default, re.DOTALL | re.IGNORECASE)
    if column.key or column.generated or text.has("unique") or (has_value and not is_constant):
        return False
    return has_value or not column.notnull


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


def _add(difference: OtherTable, text: Definition) -> Statement:
    table = difference.live.name
    return Statement(
        f"ALTER TABLE {quoted(table)} ADD COLUMN {plain(text.text)};",
        f"table {table}: column {text.column} is missing",
        (("columns_added", f"{table}.{text.column}"),),
    )
