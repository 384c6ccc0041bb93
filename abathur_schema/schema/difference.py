"""Compare the declared schema with a live one; pure functions on values.

What is declared must exist in its declared form. Anything else that exists is no fault: it belongs
to the application, and `undeclared` lists it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .model import Index, Schema, Table
from .text import fold

if TYPE_CHECKING:  # only a table in another form imports it
    from .table_changes import TableChange


class Missing(NamedTuple):
    """A declared table or index that does not exist."""

    declared: Table | Index

    def __str__(self) -> str:
        return f"{kind_of(self.declared)} {self.declared.name} is missing"


class NameTaken(NamedTuple):
    """The name of a declared table or index belongs to something else, described by `found`."""

    declared: Table | Index
    found: str

    def __str__(self) -> str:
        name, kind = self.declared.name, kind_of(self.declared)
        return f"{kind} {name} is missing: the name {name} is taken by {self.found}"


class OtherTable(NamedTuple):
    """A table that exists in another form; `changes` would turn it into the declared one."""

    declared: Table
    live: Table
    changes: tuple["TableChange", ...]

    def __str__(self) -> str:
        return f"table {self.declared.name}: " + "; ".join(map(str, self.changes))


class OtherIndex(NamedTuple):
    """An index that exists under its name with other columns, order, uniqueness or WHERE."""

    declared: Index
    live: Index

    def __str__(self) -> str:
        name = self.declared.name
        return f"index {name} is on {self.live}; declared is {self.declared}"


Difference = Missing | NameTaken | OtherTable | OtherIndex


def kind_of(thing: Table | Index) -> str:
    """`table` or `index`."""
    return "table" if isinstance(thing, Table) else "index"


def differences(declared: Schema, live: Schema, names: Iterable[str]) -> list[Difference]:
    """The differences of the objects `names` (folded) from their declared form, in that order."""
    found = (_difference(declared, live, name) for name in names)
    return [difference for difference in found if difference]


def _difference(declared: Schema, live: Schema, name: str) -> Difference | None:
    wanted: Table | Index = declared.tables.get(name) or declared.indexes[name]
    table, index = live.tables.get(name), live.indexes.get(name)
    if isinstance(wanted, Table) and table and table.kind == "table":
        if table.sql == wanted.sql:  # identical text: an identical table
            return None
        from .table_changes import table_changes

        changes = tuple(table_changes(declared, live, wanted, table))
        return OtherTable(wanted, table, changes) if changes else None
    if isinstance(wanted, Index) and index and fold(index.table) in declared.tables:
        return None if _same_index(wanted, index) else OtherIndex(wanted, index)
    if table:
        kind = "a table" if table.kind == "table" else f"a {table.kind} table"
        return NameTaken(wanted, kind)
    if index:
        return NameTaken(wanted, f"an index on {index.table}")
    if name in live.views:
        return NameTaken(wanted, "a view")
    return Missing(wanted)


def _same_index(one: Index, other: Index) -> bool:
    return _index_form(one) == _index_form(other)


def _index_form(index: Index) -> tuple[object, ...]:
    columns = [(fold(c.name), c.descending, c.collation) for c in index.columns]
    return fold(index.table), index.unique, columns, index.where, index.expressions
