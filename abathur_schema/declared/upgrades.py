"""Read `sql/upgrades/`: what comparing schemas cannot reveal about an older database, as SQL.

The first comment line of a file says what it is for; the `key: value` lines below it say when it
applies. There are three kinds:

- `step: STEP`, `has: ...` and `lacks: ...`, then statements. They run once, first in that step, if
the database has everything under `has` and nothing under `lacks` (a table, or `table.column`;
several are separated by commas). - `fills: table.column`, then `SELECT expression FROM table;`.
Where that column is missing, existing rows get the value of the expression; without such a file,
the DEFAULT or NULL. - `drops: table(column) -> parent(column)` or `drops: index, index`, without a
statement: a foreign key that older forms had and the declared one does not, or indexes of theirs,
dropped where they repeat a key or a declared index. What else is undeclared is the application's,
and stays.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..schema import text as sql_text
from ..schema.create_table import Reference
from ..schema.model import Schema
from ..schema.text import fold


class Upgrade(NamedTuple):
    """Statements that run in `step` if the database has `has` and lacks `lacks`."""

    path: Path
    name: str
    step: str
    has: tuple[str, ...]
    lacks: tuple[str, ...]
    statements: tuple[str, ...]

    def applies(self, live: Schema) -> bool:
        """Whether `live` needs it."""
        return all(_is_there(live, name) for name in self.has) and not any(
            _is_there(live, name) for name in self.lacks
        )


class Fill(NamedTuple):
    """The value of a new column in existing rows: an SQL `expression` on them."""

    path: Path
    name: str
    table: str
    column: str
    expression: str


class Former(NamedTuple):
    """A foreign key that `table` had in older forms; names are folded."""

    path: Path
    table: str
    reference: Reference


class FormerIndexes(NamedTuple):
    """Indexes that older forms had; names are folded."""

    path: Path
    names: frozenset[str]


Fills = Mapping[tuple[str, str], Fill]
"""Keyed by the folded names of table and column."""


def read_upgrades(
    folders: Iterable[Path], steps: Sequence[str]
) -> tuple[tuple[Upgrade, ...], Fills, tuple[Former, ...], frozenset[str]]:
    """Read the files of the folders, sorted by name; an upgrade belongs to one of `steps`.

    Raises UsageError, naming the file, when there is an error in it.
    """
    upgrades: list[Upgrade] = []
    fills: dict[tuple[str, str], Fill] = {}
    former: list[Former] = []
    indexes: frozenset[str] = frozenset()
    for path in (path for folder in folders for path in sorted(folder.glob("*.sql"))):
        match _read(path, steps):
            case Upgrade() as upgrade:
                upgrades.append(upgrade)
            case Fill() as fill:
                other = fills.setdefault((fill.table, fill.column), fill)
                if other is not fill:
                    raise UsageError(
                        f"{path} and {other.path} both fill {fill.table}.{fill.column}. Remove one."
                    )
            case Former() as key:
                former.append(key)
            case FormerIndexes(_, names):
                indexes |= names
    return tuple(upgrades), fills, tuple(former), indexes


_INDEXES = re.compile(r"\w+(, *\w+)*")
_KEY = re.compile(r"(\w+)\((\w+)\) -> (\w+)\((\w+)\)")


def _read(path: Path, steps: Sequence[str]) -> Upgrade | Fill | Former | FormerIndexes:
    name, says, statements = sql_text.read(path, without_sql="drops")
    if "drops" in says:
        if statements:
            raise UsageError(f"{path} says `drops:`, so it needs no statement.")
        if _INDEXES.fullmatch(says["drops"]):
            return FormerIndexes(path, frozenset(_names(says["drops"])))
        if not (found := _KEY.fullmatch(says["drops"])):
            raise UsageError(
                f"{path} says `drops:`, so it needs `-- drops: table(column) -> parent(column)`, or"
                " `-- drops: index, index`."
            )
        table, column, parent, key = map(fold, found.groups())
        return Former(path, table, Reference((column,), parent, (key,)))
    if "fills" in says:
        table, _, column = says["fills"].partition(".")
        selects = re.fullmatch(
            r"SELECT\s+(.+)\s+FROM\s+\S+\s*;",
            sql_text.bare(statements[0]),
            re.DOTALL | re.IGNORECASE,
        )
        if not table or not column or not selects or len(statements) != 1:
            raise UsageError(
                f"{path} says `fills:`, so it needs `-- fills: table.column` and then one"
                " statement, SELECT expression FROM table;"
            )
        return Fill(path, name, fold(table), fold(column), selects[1])
    has, lacks = (_names(says.get(key, "")) for key in ("has", "lacks"))
    if says.get("step") not in steps or not has + lacks:
        raise UsageError(
            f"{path} needs `-- step: STEP` at its top ({', '.join(steps)}), and `-- has: ...` or"
            " `-- lacks: ...`, which say when it applies."
        )
    bare = tuple(map(sql_text.bare, statements))
    return Upgrade(path, name, says["step"], has, lacks, bare)


def _names(value: str) -> tuple[str, ...]:
    return tuple(fold(name.strip()) for name in value.split(",") if name.strip())


def _is_there(live: Schema, name: str) -> bool:
    table, _, column = name.partition(".")
    found = live.tables.get(table)
    return found is not None and (not column or column in found.column)
