"""Rows that would break what is declared and was not there: the queries that find them."""

from collections.abc import Iterator, Mapping

from .create_table import definitions
from .difference import OtherTable
from .schema import Schema, Table, affinity
from .sql_text import fold, quoted, string
from .statement import Guard
from .table_changes import MissingCheck, MissingForeignKey, MissingUnique, OtherPrimaryKey, spelled


def name_of_row(table: Table, rowid: str) -> str:
    """An SQL expression that names a row of `table`: by its rowid and its PRIMARY KEY."""
    is_alias = [table.column[fold(key)].type for key in table.primary_key] == ["INTEGER"]
    parts = [f"'rowid ' || {rowid}"] if rowid and not table.without_rowid else []
    if not parts or not is_alias:
        parts += [f"{string(key + ' ')} || quote({quoted(key)})" for key in table.primary_key]
    return " || ', ' || ".join(parts) or "'?'"


def column_guards(
    wanted: Table, table: Table, values: Mapping[str, str], row: str
) -> Iterator[Guard]:
    """The rows that would have a NULL where none may be."""
    for name, column in wanted.column.items():
        there = table.column.get(name)
        value = values.get(column.name, "" if column.default else "NULL")
        if column.notnull and value and not (there and there.notnull):
            nothing = (
                ""
                if there or value != "NULL"
                else (
                    ", and nothing tells its value in rows that are there; a file in sql/upgrades/"
                    f" with `fills: {wanted.name}.{column.name}` would"
                )
            )
            yield Guard(
                f"{wanted.name}.{column.name} may not be NULL{nothing}",
                f"FROM {quoted(table.name)} WHERE ({value}) IS NULL",
                row,
            )


def rowid_guards(wanted: Table, table: Table, row: str) -> Iterator[Guard]:
    """The rows whose `id` cannot become the rowid: in its place SQLite would make up another, or
    fail.
    """
    names = [table.column.get(name) for name in wanted.folded_key]
    # AUTOINCREMENT is nowhere but on what is the rowid already.
    if not wanted.has_rowid_key or table.autoincrement or not (there := names[0]):
        return
    value = quoted(there.name)
    yield Guard(
        f"{wanted.name}.{there.name} must be an integer, for it becomes the rowid",
        f"FROM {quoted(table.name)} WHERE CASE typeof({value}) WHEN 'integer' THEN 0"
        f" WHEN 'text' THEN CAST(CAST({value} AS INTEGER) AS TEXT) <> +{value}"
        f" WHEN 'real' THEN CAST({value} AS INTEGER) <> {value} ELSE 1 END",
        row,
    )


def constraint_guards(
    live: Schema, difference: OtherTable, values: Mapping[str, str], row: str
) -> Iterator[Guard]:
    """The rows that break a CHECK, UNIQUE, PRIMARY KEY or foreign key that is new to them."""
    wanted, table = difference.declared, difference.live
    defaults = {
        one.column: next((c.text[7:] for c in one.clauses if c.keyword == "default"), "NULL")
        for one in definitions(wanted.sql)
        if one.column
    }
    every = {**defaults, **values}
    columns = ", ".join(f"{value} AS {quoted(name)}" for name, value in every.items())
    rows = f'(SELECT {columns}, {row} AS "the row" FROM {quoted(table.name)}) AS t'
    label = '"the row"'
    for change in difference.changes:
        match change:
            case MissingCheck(check):
                yield Guard(
                    f"{wanted.name} must fulfil CHECK ({check.expression})",
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
                # One that is not there yet will be empty.
                has_none = f"NOT EXISTS ({parent})" if fold(key.other_table) in live.tables else "1"
                yield Guard(
                    f"{wanted.name} must have parents for {spelled(key)}",
                    f"FROM {rows} WHERE {filled} AND {has_none}",
                    label,
                )


def _repeated(rows: str, columns: list[tuple[str, str]]) -> str:
    """All rows but the first of those that are alike; NULLs are never alike."""
    alike = ", ".join(f"{quoted(name)} COLLATE {collation}" for name, collation in columns)
    filled = " AND ".join(f"{quoted(name)} IS NOT NULL" for name, _ in columns)
    return (
        f'FROM (SELECT *, row_number() OVER (PARTITION BY {alike}) AS "the number"'
        f' FROM {rows} WHERE {filled}) WHERE "the number" > 1'
    )


def loss_guards(wanted: Table, table: Table, new: str, rowid: str) -> Iterator[Guard]:
    """The rows in which a value would not be the same in the type that is declared.

    Looked for in the copy, before the old table goes: a conversion is good if SQLite converts the
    result back to the value that was there.
    """
    key = [rowid] if rowid and not table.without_rowid else list(map(quoted, table.primary_key))
    if wanted.without_rowid or not key:
        return
    by = key
    if wanted.has_rowid_key and wanted.folded_key[0] in table.column:
        by = [quoted(wanted.primary_key[0])]  # which may not have been the rowid before
    # A row whose key is not found again has lost some of it.
    same = " AND ".join(f"n.{name} = o.{name}" for name in by)
    for name, column in wanted.column.items():
        there = table.column.get(name)
        if there and affinity(there.type) != affinity(column.type):
            o, n = f"o.{quoted(there.name)}", f"n.{quoted(column.name)}"
            back = " ".join(
                f"WHEN '{kind}' THEN CAST({n} AS {kind}) IS NOT +{o}"
                for kind in ("text", "integer", "real")
            )
            yield Guard(
                f"{wanted.name}.{column.name} must keep its value as {column.type}",
                f"FROM {quoted(table.name)} AS o LEFT JOIN {quoted(new)} AS n ON {same}"
                f" WHERE typeof({o}) <> typeof({n}) AND CASE typeof({o}) {back} ELSE 1 END",
                " || ', ' || ".join(f"'{name.strip(chr(34))} ' || quote(o.{name})" for name in key),
            )


def _split(compared: str) -> tuple[str, str]:
    name, _, collation = compared.partition(" COLLATE ")
    if not collation:
        name, _, collation = compared.partition(" collate ")
    return name, collation or "BINARY"
