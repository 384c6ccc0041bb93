"""Queries for the rows that violate what is declared but was not enforced so far."""

from collections.abc import Iterator, Mapping

from ..declared.declaration import Declared
from ..schema.difference import OtherTable
from ..schema.model import Column, Schema, Table, affinity_of, generated_by, reference, spelled
from ..schema.table_changes import (
    MissingCheck,
    MissingForeignKey,
    MissingUnique,
    OtherClauses,
    OtherPrimaryKey,
)
from ..schema.text import ROWID_NAMES, fold, quoted, string, tokens, unquoted
from .statement import Guard


def name_of_row(table: Table, rowid: str) -> str:
    """An SQL expression that identifies a row of `table`, by its rowid and PRIMARY KEY."""
    parts = [f"'rowid ' || {rowid}"] if rowid and not table.without_rowid else []
    if not parts or not table.has_rowid_key:
        parts += [f"{string(key + ' ')} || quote({quoted(key)})" for key in table.primary_key]
    return " || ', ' || ".join(parts) or "'?'"


def guards_of(declared: Declared, live: Schema, difference: OtherTable) -> tuple[Guard, ...]:
    """The rows that prevent a table from taking its declared form."""
    wanted, table = difference.declared, difference.live
    row = name_of_row(table, rowid_of(table))
    values = values_of(declared, wanted, table)
    return (
        *column_guards(wanted, table, values, row),
        *rowid_guards(wanted, table, row),
        *constraint_guards(live, difference, values, row),
        *collation_guards(declared.schema, live, difference),
    )


def rowid_of(table: Table) -> str:
    """The name that reads the rowid; empty where columns use up all of its names."""
    return next((name for name in ROWID_NAMES if name not in table.column), "")


def values_of(declared: Declared, wanted: Table, table: Table) -> dict[str, str]:
    """The columns that a row of `table` has a value for, each with the expression for it; none that
    SQLite will compute.
    """
    found = {}
    for name, column in wanted.column.items():
        if column.generated:
            continue
        if there := table.column.get(name):
            found[column.name] = quoted(there.name)
        elif fill := declared.fills.get((fold(wanted.name), name)):
            found[column.name] = fill.expression
    for name, column in table.column.items():
        if name not in wanted.column and not column.generated:
            found[column.name] = quoted(column.name)
    return found


def column_guards(
    wanted: Table, table: Table, values: Mapping[str, str], row: str
) -> Iterator[Guard]:
    """The rows that would have a NULL where it is not allowed."""
    for name, column in wanted.column.items():
        if column.generated:
            continue
        there = table.column.get(name)
        value = values.get(column.name, "" if column.default else "NULL")
        if column.notnull and value and not (there and there.notnull):
            nothing = (
                ""
                if there or value != "NULL"
                else (
                    ", and nothing gives it a value in existing rows; a file in sql/upgrades/"
                    f" with `fills: {wanted.name}.{column.name}` would"
                )
            )
            yield Guard(
                f"{wanted.name}.{column.name} may not be NULL{nothing}",
                f"FROM {quoted(table.name)} WHERE ({value}) IS NULL",
                row,
            )


def rowid_guards(wanted: Table, table: Table, row: str) -> Iterator[Guard]:
    """The rows whose `id` cannot become the rowid: SQLite would invent another, or fail."""
    names = [table.column.get(name) for name in wanted.folded_key]
    # AUTOINCREMENT is only allowed on what already is the rowid.
    if not wanted.has_rowid_key or table.autoincrement or not (there := names[0]):
        return
    value = quoted(there.name)
    yield Guard(
        f"{wanted.name}.{there.name} must be an integer, as it becomes the rowid",
        f"FROM {quoted(table.name)} WHERE CASE typeof({value}) WHEN 'integer' THEN 0"
        f" WHEN 'text' THEN CAST(CAST({value} AS INTEGER) AS TEXT) <> +{value}"
        f" WHEN 'real' THEN CAST({value} AS INTEGER) <> {value} ELSE 1 END",
        row,
    )


def constraint_guards(
    live: Schema, difference: OtherTable, values: Mapping[str, str], row: str
) -> Iterator[Guard]:
    """The rows that violate a new CHECK, UNIQUE, PRIMARY KEY or foreign key."""
    wanted, table = difference.declared, difference.live
    new = {
        column.name: _stored(values.get(column.name, column.default or "NULL"), wanted, column)
        for name, column in wanted.column.items()
        if name not in table.column and not column.generated
    }
    columns = ", ".join(
        f"{value}{_collated(wanted, table, fold(name))} AS {quoted(name)}"
        for name, value in {**values, **new}.items()
    )
    rows = f'(SELECT {columns}, {row} AS "the row" FROM {quoted(table.name)})'
    rows = f"{_with_generated(wanted, rows)} AS t"
    label = '"the row"'
    for change in difference.changes:
        match change:
            case MissingCheck(check):
                yield Guard(
                    f"{wanted.name} must satisfy CHECK ({check.expression})",
                    f"FROM {rows} WHERE NOT ({check.text})",
                    label,
                )
            case MissingUnique(columns=names) | OtherPrimaryKey(declared=names):
                yield Guard(
                    f"{wanted.name} must be unique in ({', '.join(names)})",
                    _repeated(rows, [_split(name) for name in names]),
                    label,
                )
            case MissingForeignKey(key):
                parents = " AND ".join(
                    f"p.{quoted(theirs)} = t.{quoted(ours)}"
                    for ours, theirs in zip(key.columns, key.other_columns, strict=False)
                )
                filled = " AND ".join(f"t.{quoted(name)} IS NOT NULL" for name in key.columns)
                parent = f"SELECT 1 FROM {quoted(key.other_table)} AS p WHERE {parents}"
                # A parent table that does not exist yet will be empty.
                has_none = f"NOT EXISTS ({parent})" if fold(key.other_table) in live.tables else "1"
                yield Guard(
                    f"{wanted.name} must have parents for {spelled(key)}",
                    f"FROM {rows} WHERE {filled} AND {has_none}",
                    label,
                )


def _collated(wanted: Table, table: Table, name: str) -> str:
    """How a column will compare, where it compares otherwise so far."""
    there, ours = (one.collations.get(name, "BINARY") for one in (table, wanted))
    return f" COLLATE {quoted(ours)}" if there != ours else ""


def _stored(value: str, wanted: Table, column: Column) -> str:
    """An expression as the column would store it, and with its affinity; NULL, which no constraint
    refuses, where a CAST would do what the affinity does not.
    """
    kind = affinity_of(wanted, column)
    if kind == "BLOB":
        return f"({value})"
    if kind == "TEXT":
        return f"CAST(CASE typeof({value}) WHEN 'blob' THEN NULL ELSE {value} END AS TEXT)"
    is_number = f"+({value}) IS CAST({value} AS NUMERIC)"
    kept = f"CASE WHEN {is_number} THEN {value} END"
    return f"CAST({kept} AS REAL)" if kind == "REAL" else f"CAST({kept} AS NUMERIC)"


def _with_generated(wanted: Table, rows: str) -> str:
    """These rows with the generated columns, each computed after those that it mentions."""
    left = dict(generated_by(wanted.sql))
    while left:
        ready = [
            name
            for name, expression in left.items()
            if not {unquoted(one.text) for one in tokens(expression)} & left.keys()
        ] or [*left][:1]  # what it mentions may be a function of that name
        computed = ", ".join(
            f"{_stored(left.pop(name), wanted, wanted.column[name])}"
            f" AS {quoted(wanted.column[name].name)}"
            for name in ready
        )
        rows = f"(SELECT *, {computed} FROM {rows})"
    return rows


def collation_guards(declared: Schema, live: Schema, difference: OtherTable) -> Iterator[Guard]:
    """The rows of other tables that match their parent only by a collation that is not declared."""
    parent = difference.live
    others = {
        fold(one.of.removeprefix("column "))
        for one in difference.changes
        if isinstance(one, OtherClauses) and one.of.startswith("column ")
    }
    for name, child in live.tables.items():
        former = declared.tables[name].former_keys if name in declared.tables else ()
        for key in sorted(child.foreign_keys, key=spelled):
            ours, of_parent, theirs = reference(key)
            if of_parent != fold(parent.name) or not others & {*theirs} or reference(key) in former:
                continue
            pairs = [*zip(map(quoted, ours), map(quoted, theirs), strict=False)]
            now = " AND ".join(f"p.{its} = c.{mine}" for mine, its in pairs)
            exact = " AND ".join(f"p.{its} COLLATE BINARY = c.{mine}" for mine, its in pairs)
            of = quoted(parent.name)
            yield Guard(
                f"{child.name}({', '.join(key.columns)}) must be spelled exactly like its parent in"
                f" {parent.name}, whose key is declared without COLLATE",
                f"FROM {quoted(child.name)} AS c WHERE EXISTS (SELECT 1 FROM {of} AS p WHERE {now})"
                # The parent's index has its collation: only `now` can use it.
                f" AND NOT EXISTS (SELECT 1 FROM {of} AS p WHERE {now} AND {exact})",
                " || ', ' || ".join(
                    f"{string(name + ' ')} || quote(c.{quoted(name)})" for name in key.columns
                ),
            )


def _repeated(rows: str, columns: list[tuple[str, str]]) -> str:
    """All but the first of rows that are equal; NULLs never are."""
    alike = ", ".join(f"{quoted(name)} COLLATE {collation}" for name, collation in columns)
    filled = " AND ".join(f"{quoted(name)} IS NOT NULL" for name, _ in columns)
    return (
        f'FROM (SELECT *, row_number() OVER (PARTITION BY {alike}) AS "the number"'
        f' FROM {rows} WHERE {filled}) WHERE "the number" > 1'
    )


def _split(compared: str) -> tuple[str, str]:
    name, _, collation = compared.removesuffix(" DESC").partition(" COLLATE ")
    if not collation:
        name, _, collation = compared.partition(" collate ")
    return name, collation or "BINARY"
