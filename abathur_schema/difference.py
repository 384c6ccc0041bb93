"""The difference between the declared and a live schema, as values; pure comparison.

What is declared must be there in its declared form. What is there and not declared is no fault:
it belongs to the application, and `undeclared` lists it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from sqlite_utils.db import ForeignKey

from .schema import Column, Index, Schema, Table, fold


@dataclass(frozen=True)
class Missing:
    """A declared table or index that is not there."""

    declared: Table | Index

    def __str__(self) -> str:
        return f"{kind_of(self.declared)} {self.declared.name} is missing"


@dataclass(frozen=True)
class NameTaken:
    """Something else has the name of a declared table or index; `found` says what."""

    declared: Table | Index
    found: str

    def __str__(self) -> str:
        name, kind = self.declared.name, kind_of(self.declared)
        return f"{kind} {name} is missing: the name {name} is taken by {self.found}"


@dataclass(frozen=True)
class OtherTable:
    """A table that is there in another form; `details` has a line for each thing that differs."""

    declared: Table
    live: Table
    details: tuple[str, ...]

    def __str__(self) -> str:
        return f"table {self.declared.name}: " + "; ".join(self.details)


@dataclass(frozen=True)
class OtherIndex:
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
        details = tuple(_table_details(declared, live, wanted, table))
        return OtherTable(wanted, table, details) if details else None
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


def _table_details(declared: Schema, live: Schema, wanted: Table, table: Table) -> Iterator[str]:
    for name, column in wanted.column.items():
        if there := table.column.get(name):
            yield from _column_details(column, there)
            yield from _clause_details(f"column {column.name}", name, wanted, table)
        else:
            yield f"column {column.name} is missing"
    yield from _clause_details("a constraint", "", wanted, table)
    if _folded(wanted.primary_key) != _folded(table.primary_key):
        yield (
            f"PRIMARY KEY is ({', '.join(table.primary_key)});"
            f" declared is ({', '.join(wanted.primary_key)})"
        )
    for option in ("autoincrement", "without_rowid", "strict"):
        word = option.upper().replace("_", " ")
        if getattr(wanted, option) and not getattr(table, option):
            yield f"{word} is missing"
        elif getattr(table, option) and not getattr(wanted, option):
            yield f"it is {word}; declared without"
    for check in sorted(wanted.checks - table.checks):
        yield f"CHECK ({check}) is missing"
    unique = declared.uniques_of(wanted.name) - live.uniques_of(wanted.name)
    for columns in sorted(unique):
        yield f"UNIQUE ({', '.join(columns)}) is missing"
    yield from _foreign_key_details(wanted, table)


def _column_details(wanted: Column, there: Column) -> Iterator[str]:
    name = wanted.name
    if wanted.type != there.type:
        yield f"column {name} has type {there.type or '(none)'}; declared is {wanted.type}"
    if wanted.notnull != there.notnull:
        yield f"column {name} " + (
            "may be NULL; declared is NOT NULL"
            if wanted.notnull
            else "is NOT NULL; declared may be NULL"
        )
    if wanted.default != there.default:
        yield (
            f"column {name} has DEFAULT {there.default or '(none)'};"
            f" declared is {wanted.default or '(none)'}"
        )
    if there.generated != wanted.generated:
        yield f"column {name} is generated; declared is a stored value"


def _clause_details(where: str, name: str, wanted: Table, table: Table) -> Iterator[str]:
    declared, there = wanted.clauses.get(name, ()), table.clauses.get(name, ())
    if declared != there:
        yield (
            f"{where} has {', '.join(there) or 'neither COLLATE nor ON CONFLICT'};"
            f" declared is {', '.join(declared) or 'without'}"
        )


def _foreign_key_details(wanted: Table, table: Table) -> Iterator[str]:
    for key in sorted(wanted.foreign_keys, key=_spelled):
        found = [there for there in table.foreign_keys if _reference(there) == _reference(key)]
        if not found:
            yield f"foreign key {_spelled(key)} is missing"
        for there, event in product(found, ("on_delete", "on_update")):
            if getattr(there, event) != getattr(key, event):
                yield (
                    f"foreign key {_spelled(key)} has {event.upper().replace('_', ' ')}"
                    f" {getattr(there, event)}; declared is {getattr(key, event)}"
                )


def _reference(key: ForeignKey) -> tuple[object, ...]:
    return _folded(key.columns), fold(key.other_table), _folded(key.other_columns)


def _spelled(key: ForeignKey) -> str:
    return (
        f"({', '.join(key.columns)}) -> {key.other_table}({', '.join(map(str, key.other_columns))})"
    )


def _folded(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(fold(name or "") for name in names)


def undeclared(declared: Schema, live: Schema) -> Iterator[str]:
    """What is there and not declared, a line each; managed by somebody else."""
    for name, table in live.tables.items():
        if name not in declared.tables and table.kind != "shadow":
            yield f"{'virtual ' if table.kind == 'virtual' else ''}table {table.name}"
        elif (wanted := declared.tables.get(name)) and table.sql != wanted.sql:
            yield from _undeclared_in(declared, live, wanted, table)
    for index in undeclared_indexes(declared, live):
        yield f"index {index.name} on {index}"
    for name, view in live.views.items():
        if name not in declared.tables:
            yield f"view {view}"
    for trigger in live.triggers.values():
        yield f"trigger {trigger}"


def undeclared_indexes(declared: Schema, live: Schema) -> list[Index]:
    """The indexes that somebody else made."""
    return [
        index
        for name, index in live.indexes.items()
        if index.origin == "c" and name not in declared.indexes
    ]


def _undeclared_in(declared: Schema, live: Schema, wanted: Table, table: Table) -> Iterator[str]:
    for name, column in table.column.items():
        if name not in wanted.column:
            yield f"column {table.name}.{column.name}"
    for check in sorted(table.checks - wanted.checks):
        yield f"CHECK ({check}) of table {table.name}"
    for columns in sorted(live.uniques_of(table.name) - declared.uniques_of(table.name)):
        yield f"UNIQUE ({', '.join(columns)}) of table {table.name}"
    known = {_reference(key) for key in wanted.foreign_keys}
    for key in sorted(table.foreign_keys, key=_spelled):
        if _reference(key) not in known:
            yield f"foreign key {_spelled(key)} of table {table.name}"


def redundant(schema: Schema, among: Iterable[str]) -> dict[str, str]:
    """Which of the indexes `among` (folded names) repeat what is there, with the reason.

    An index repeats another one when that begins with its columns and has the same rows (WHERE).
    Directions do not count: SQLite reads an index backwards as well. Of two alike, one stays.
    """
    reasons: dict[str, str] = {}
    for name in among:
        index = schema.indexes[name]
        table = schema.tables[fold(index.table)]
        if not index.expressions and _is_rowid(table, index.columns[0].name):
            reasons[name] = f"{index.columns[0].name} is the rowid, by which the table is stored"
        for other in schema.indexes_on(index.table):
            if fold(other.name) not in {name, *reasons} and _covers(other, index):
                reasons[name] = f"{_origin(other)} begins with the same columns"
    return reasons


def _covers(other: Index, index: Index) -> bool:
    if index.expressions or other.expressions or other.where != index.where:
        return False
    mine = [(fold(column.name), column.collation) for column in index.columns]
    theirs = [(fold(column.name), column.collation) for column in other.columns]
    if index.unique:  # a constraint: only the same constraint repeats it
        return other.unique and mine == theirs
    return mine == theirs[: len(mine)]


def _is_rowid(table: Table, column: str) -> bool:
    """Whether `column` is an INTEGER PRIMARY KEY, another name of the rowid."""
    is_key = [fold(column)] == [fold(key) for key in table.primary_key]
    return is_key and not table.without_rowid and table.column[fold(column)].type == "INTEGER"


def _origin(index: Index) -> str:
    columns = ", ".join(column.name for column in index.columns)
    constraint = {"u": f"UNIQUE ({columns})", "pk": f"PRIMARY KEY ({columns})"}
    return constraint.get(index.origin, f"index {index.name}")


def without_index(declared: Schema, live: Schema) -> Iterator[str]:
    """The declared foreign keys that no index of the live schema serves, a line each.

    A partial index serves when its WHERE says only that the column is not NULL: SQLite looks for
    the children of a value, never of NULL.
    """
    for table in declared.tables.values():
        for key in sorted(table.foreign_keys, key=_spelled):
            first = fold(key.columns[0])
            served = _is_rowid(table, first) or any(
                fold(index.columns[0].name) == first and index.where in ("", f"{first} is not null")
                for index in live.indexes_on(table.name)
            )
            if not served:
                yield f"foreign key {_spelled(key)} of table {table.name} has no index"
