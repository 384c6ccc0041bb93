"""The difference between the declared and a live schema, as values; pure comparison.

What is declared must be there in its declared form. What is there and not declared is no fault:
it belongs to the application, and `undeclared` lists it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .declared import Declared
from .schema import Index, Schema, Table
from .sql_text import fold
from .table_changes import TableChange, reference, spelled, table_changes


class Missing(NamedTuple):
    """A declared table or index that is not there."""

    declared: Table | Index

    def __str__(self) -> str:
        return f"{kind_of(self.declared)} {self.declared.name} is missing"


class NameTaken(NamedTuple):
    """Something else has the name of a declared table or index; `found` says what."""

    declared: Table | Index
    found: str

    def __str__(self) -> str:
        name, kind = self.declared.name, kind_of(self.declared)
        return f"{kind} {name} is missing: the name {name} is taken by {self.found}"


class OtherTable(NamedTuple):
    """A table that is there in another form; `changes` are what would make it the declared one."""

    declared: Table
    live: Table
    changes: tuple[TableChange, ...]

    def __str__(self) -> str:
        return f"table {self.declared.name}: " + "; ".join(map(str, self.changes))


class OtherIndex(NamedTuple):
    """An index that is there under its name with other columns, order, uniqueness or WHERE."""

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
    """What keeps the objects `names` (folded) from being as declared, in the order of `names`."""
    found = (_difference(declared, live, name) for name in names)
    return [difference for difference in found if difference]


def _difference(declared: Schema, live: Schema, name: str) -> Difference | None:
    wanted: Table | Index = declared.tables.get(name) or declared.indexes[name]
    table, index = live.tables.get(name), live.indexes.get(name)
    if isinstance(wanted, Table) and table and table.kind == "table":
        if table.sql == wanted.sql:  # the same text is the same table
            return None
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


def of_another_application(declared: Declared, live: Schema) -> str | None:
    """What shows that the database belongs to another application: a table that shares nothing but
    its name with ours. None when nothing does.

    A table of ours, of whatever age, has most of the columns that every row of it must fill.
    """
    for name, wanted in declared.schema.tables.items():
        table = live.tables.get(name)
        if not table or table.kind != "table":
            continue
        names = {*table.column, *_called_now(declared, live, name)}
        must = [
            column
            for column, form in wanted.column.items()
            if form.notnull and not form.default and (name, column) not in declared.fills
        ]
        if sum(column in names for column in must) * 2 < len(must):
            there = ", ".join(column.name for column in table.columns[:10]) or "none"
            return (
                f"its table {table.name} has the columns {there[:200]}; ours has"
                f" {', '.join(must)} and others."
            )
    return None


def _called_now(declared: Declared, live: Schema, table: str) -> Iterator[str]:
    """The columns that upgrades give the name that they have now."""
    for upgrade in declared.upgrades:
        if upgrade.applies(live):
            for name in upgrade.lacks:
                of, _, column = name.partition(".")
                if of == table:
                    yield column


class Undeclared(NamedTuple):
    """Something that is there and not declared; `kind` is table, column, CHECK, index, view ..."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def undeclared(declared: Schema, live: Schema) -> Iterator[Undeclared]:
    """What is there and not declared; managed by somebody else."""
    for name, table in live.tables.items():
        if name not in declared.tables and table.kind != "shadow":
            kind = "virtual table" if table.kind == "virtual" else "table"
            yield Undeclared(kind, table.name)
        elif (wanted := declared.tables.get(name)) and table.sql != wanted.sql:
            yield from undeclared_in(declared, live, wanted, table)
    for index in undeclared_indexes(declared, live):
        yield Undeclared("index", f"{index.name} on {index}")
    for name, view in live.views.items():
        if name not in declared.tables:
            yield Undeclared("view", view.name)
    for trigger in live.triggers.values():
        yield Undeclared("trigger", f"{trigger.name} on {trigger.table}")


def undeclared_indexes(declared: Schema, live: Schema) -> list[Index]:
    """The indexes that somebody else made."""
    return [
        index
        for name, index in live.indexes.items()
        if index.origin == "c" and name not in declared.indexes
    ]


def undeclared_in(
    declared: Schema, live: Schema, wanted: Table, table: Table
) -> Iterator[Undeclared]:
    """What `table` of `live` has beside what is declared of it."""
    for name, column in table.column.items():
        if name not in wanted.column:
            yield Undeclared("column", f"{table.name}.{column.name}")
    for check in sorted(table.checks - wanted.checks):
        yield Undeclared("CHECK", f"({check}) of table {table.name}")
    for columns in sorted(live.uniques_of(table.name) - declared.uniques_of(table.name)):
        yield Undeclared("UNIQUE", f"({', '.join(columns)}) of table {table.name}")
    known = {reference(key) for key in wanted.foreign_keys} | wanted.former_keys
    for key in sorted(table.foreign_keys, key=spelled):
        if reference(key) not in known:
            yield Undeclared("foreign key", f"{spelled(key)} of table {table.name}")
