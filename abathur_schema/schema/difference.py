"""Compare the declared schema with a live one; pure functions on values.

What is declared must exist in its declared form. Anything else that exists is no fault: it belongs
to the application, and `undeclared` lists it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .model import Index, Schema, Table, Trigger, View
from .text import fold, normal

if TYPE_CHECKING:  # only a table in another form imports it
    from .table_changes import TableChange


Object = Table | Index | View | Trigger


class Missing(NamedTuple):
    """A declared object that does not exist."""

    declared: Object

    def __str__(self) -> str:
        return f"{kind_of(self.declared)} {self.declared.name} is missing"


class NameTaken(NamedTuple):
    """The name of a declared object belongs to something else, described by `found`."""

    declared: Object
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

    @property
    def refuses_rows(self) -> bool:
        """Whether the live one is a constraint that the declared one is not."""
        return self.live.unique and not self.declared.unique


class OtherText(NamedTuple):
    """A view or trigger that exists under its name with another definition."""

    declared: View | Trigger
    live: View | Trigger

    def __str__(self) -> str:
        return f"{kind_of(self.declared)} {self.declared.name} has another definition"


Difference = Missing | NameTaken | OtherTable | OtherIndex | OtherText


def kind_of(thing: Object) -> str:
    """`table`, `virtual table`, `index`, `view` or `trigger`."""
    if isinstance(thing, Table):
        return "virtual table" if thing.kind == "virtual" else "table"
    return type(thing).__name__.lower()


def differences(declared: Schema, live: Schema, names: Iterable[str]) -> list[Difference]:
    """The differences of the objects `names` (folded) from their declared form, in that order."""
    found = (_difference(declared, live, name) for name in names)
    return [difference for difference in found if difference]


def _difference(declared: Schema, live: Schema, name: str) -> Difference | None:
    wanted = declared.named(name)
    table, index = live.tables.get(name), live.indexes.get(name)
    if isinstance(wanted, View | Trigger):
        there = (live.views if isinstance(wanted, View) else live.triggers).get(name)
        if there or isinstance(wanted, Trigger):  # whose names no other objects share
            same = there and normal(there.sql) == normal(wanted.sql)
            return None if same else OtherText(wanted, there) if there else Missing(wanted)
    elif isinstance(wanted, Table) and table and wanted.kind == table.kind == "virtual":
        is_same = normal(table.sql) == normal(wanted.sql)
        return None if is_same else NameTaken(wanted, "one with another definition")
    elif isinstance(wanted, Table) and table and wanted.kind == table.kind == "table":
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
