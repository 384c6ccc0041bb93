"""What exists without being declared, and indexes that are redundant or missing; pure functions."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .model import Index, Schema, Table, reference, spelled
from .text import fold, tokens


class Undeclared(NamedTuple):
    """Something that exists and is not declared; `kind` is table, column, CHECK, index, view ..."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def undeclared(declared: Schema, live: Schema) -> Iterator[Undeclared]:
    """List what exists and is not declared: somebody else manages it."""
    for name, table in live.tables.items():
        if name not in declared.tables and table.kind != "shadow":
            kind = "virtual table" if table.kind == "virtual" else "table"
            yield Undeclared(kind, table.name)
        elif (
            (wanted := declared.tables.get(name))
            and table.sql != wanted.sql
            and wanted.kind == "table"
        ):
            yield from undeclared_in(declared, live, wanted, table)
    for index in undeclared_indexes(declared, live):
        yield Undeclared("index", f"{index.name} on {index}")
    for name, view in live.views.items():
        if name not in declared.tables and name not in declared.views:
            yield Undeclared("view", view.name)
    for name, trigger in live.triggers.items():
        if name not in declared.triggers:
            yield Undeclared("trigger", f"{trigger.name} on {trigger.table}")


def undeclared_indexes(declared: Schema, live: Schema) -> list[Index]:
    """The indexes that are not declared."""
    return [
        index
        for name, index in live.indexes.items()
        if index.origin == "c" and name not in declared.indexes
    ]


def undeclared_in(
    declared: Schema, live: Schema, wanted: Table, table: Table
) -> Iterator[Undeclared]:
    """What `table` of `live` has beyond its declaration."""
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


class Repeated:
    """An undeclared index that duplicates, column for column, an index or key kept by `by`."""

    def __init__(self, index: Index, by: str) -> None:
        self.index = index
        self.by = by

    def __str__(self) -> str:
        return f"index {self.index.name} repeats {self.by}"


def repeated(
    declared: Schema, live: Schema, indexes: Iterable[str], tables: Iterable[str]
) -> list[Repeated]:
    """The undeclared indexes that duplicate one of `indexes` (declared; folded names), or a UNIQUE
    or PRIMARY KEY of one of `tables`. Not those that a view or trigger names, nor unique ones,
    which are constraints of the application.
    """
    ours = [declared.indexes[name] for name in indexes]
    found = []
    for index in undeclared_indexes(declared, live):
        if index.unique:
            continue
        table = fold(index.table)
        kept = [one for one in ours if fold(one.table) == table]
        if table in tables:
            kept += [one for one in live.indexes_on(table) if one.origin != "c"]
        by = next((_origin(one) for one in kept if _repeats(index, one)), "")
        if table in tables and _is_whole_rowid(live.tables[table], index):
            by = f"PRIMARY KEY ({index.columns[0].name})"
        if by and not _is_named(index, live):
            found.append(Repeated(index, by))
    return found


def _is_whole_rowid(table: Table, index: Index) -> bool:
    is_plain = len(index.columns) == 1 and not index.where and not index.expressions
    return is_plain and _is_rowid(table, index.columns[0].name)


def _is_named(index: Index, live: Schema) -> bool:
    texts = [*(view.sql for view in live.views.values()), *(t.sql for t in live.triggers.values())]
    return any(token.text == fold(index.name) for text in texts for token in tokens(text))


def _repeats(index: Index, other: Index) -> bool:
    """Whether `index` has the columns, rows and use of `other`.

    Compared with a constraint, directions do not matter: it serves equality only.
    """
    with_direction = other.origin == "c"
    forms = [
        [(fold(c.name), c.collation, with_direction and c.descending) for c in one.columns]
        for one in (index, other)
    ]
    same_rows = index.where == other.where and index.expressions == other.expressions
    return same_rows and forms[0] == forms[1]


def redundant(schema: Schema, among: Iterable[str]) -> dict[str, str]:
    """The indexes among `among` (folded names) that are redundant, each with the reason.

    An index is redundant if another one begins with its columns and has the same WHERE. Directions
    do not matter, as SQLite reads indexes both ways. Of two equal ones, one is reported.
    """
    reasons: dict[str, str] = {}
    alike: dict[tuple[str, ...], dict[str, Index]] = {}
    for name, index in schema.indexes.items():
        if not index.expressions:
            alike.setdefault(_alike(index), {})[name] = index
    for name in among:
        index = schema.indexes[name]
        if index.expressions:
            continue
        others = alike[_alike(index)]
        by = (other for other in others.values() if other is not index and _covers(other, index))
        first = index.columns[0].name
        if _is_rowid(schema.tables[fold(index.table)], first):
            reasons[name] = f"{first} is the rowid, by which the table is stored"
        elif other := next(by, None):
            reasons[name] = f"{_origin(other)} begins with the same columns"
        if name in reasons:
            del others[name]  # it makes no other one redundant
    return reasons


def _alike(index: Index) -> tuple[str, ...]:
    """What two indexes must have in common for one to make the other redundant: so that not each
    is compared with each.
    """
    first = index.columns[0]
    return fold(index.table), index.where, fold(first.name), first.collation


def _covers(other: Index, index: Index) -> bool:
    mine = [(fold(column.name), column.collation) for column in index.columns]
    theirs = [(fold(column.name), column.collation) for column in other.columns]
    if index.unique:  # a constraint: only an equal constraint makes it redundant
        return other.unique and mine == theirs
    return mine == theirs[: len(mine)]


def _is_rowid(table: Table, column: str) -> bool:
    """Whether `column` is an INTEGER PRIMARY KEY, an alias of the rowid."""
    return table.has_rowid_key and fold(column) in table.folded_key


def _origin(index: Index) -> str:
    columns = ", ".join(column.name for column in index.columns)
    constraint = {"u": f"UNIQUE ({columns})", "pk": f"PRIMARY KEY ({columns})"}
    return constraint.get(index.origin, f"index {index.name}")


def without_index(declared: Schema, live: Schema) -> Iterator[str]:
    """The declared foreign keys that no index of the live schema serves, one line each.

    A partial index counts if its WHERE only excludes NULL: SQLite looks up the children of a value,
    never of NULL.
    """
    for table in declared.tables.values():
        for key in sorted(table.foreign_keys, key=spelled):
            first = fold(key.columns[0])
            served = _is_rowid(table, first) or any(
                fold(index.columns[0].name) == first and index.where in ("", f"{first} is not null")
                for index in live.indexes_on(table.name)
            )
            if not served:
                yield f"foreign key {spelled(key)} of table {table.name} has no index"
