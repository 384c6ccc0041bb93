"""Queries for the values that a rebuild would change."""

from collections.abc import Iterator

from ..schema.model import Table, affinity_of
from ..schema.text import fold, quoted
from .statement import Guard


def loss_guards(wanted: Table, table: Table, new: str, rowid: str) -> Iterator[Guard]:
    """The rows in which a rebuild would change a value.

    They are looked for in the copy, before the old table is dropped. In a declared column, a
    conversion is fine if SQLite converts the result back to the old value; elsewhere none is.
    """
    key = [rowid] if rowid and not table.without_rowid else list(map(quoted, table.primary_key))
    by = [] if wanted.without_rowid else key
    is_there = all(fold(name) in table.column for name in wanted.primary_key)
    if is_there and (wanted.has_rowid_key or wanted.without_rowid):
        by = list(map(quoted, wanted.primary_key))  # which may not have been the key so far
    # A row whose key is not found has changed. The plus has the copy's affinity decide.
    same = " AND ".join(f"n.{name} = +o.{name}" for name in by) or "FALSE"
    label = " || ', ' || ".join(f"'{name.strip(chr(34))} ' || quote(o.{name})" for name in key)
    both = f"FROM {quoted(table.name)} AS o LEFT JOIN {quoted(new)} AS n ON {same}"
    for name, there in table.column.items():
        column = wanted.column.get(name)
        o, n = f"o.{quoted(there.name)}", f"n.{quoted(column.name if column else there.name)}"
        if column and column.generated:
            continue  # it is computed anew
        if column and affinity_of(table, there) != affinity_of(wanted, column):
            back = " ".join(
                f"WHEN '{kind}' THEN CAST({n} AS {kind}) IS NOT +{o}"
                for kind in ("text", "integer", "real")
            )
            yield Guard(
                f"{wanted.name}.{column.name} must keep its value as {column.type}",
                f"{both} WHERE typeof({o}) <> typeof({n}) AND CASE typeof({o}) {back} ELSE 1 END",
                label or "'?'",
            )
        elif not column and table.strict != wanted.strict and not there.generated:
            yield Guard(
                f"{wanted.name}.{there.name} must keep its value",
                f"{both} WHERE typeof({o}) IS NOT typeof({n})"
                f" OR +{o} COLLATE BINARY IS NOT +{n} COLLATE BINARY",
                label or "'?'",
            )


def conversions(wanted: Table, table: Table) -> Iterator[Guard]:
    """The rows in which a value will change its storage class, because the declared type has
    another affinity (SQLite documentation, "Type Affinity").
    """
    for name, column in wanted.column.items():
        there = table.column.get(name)
        target = affinity_of(wanted, column)
        if not there or column.generated or affinity_of(table, there) == target:
            continue
        value = quoted(there.name)
        # The CAST gives the comparison the affinity of a column of that type.
        is_number = f"+{value} = CAST({value} AS NUMERIC)"
        is_whole = f"+{value} = CAST({value} AS INTEGER)"
        changes = {
            "TEXT": {"a number, and becomes text": f"typeof({value}) IN ('integer', 'real')"},
            "REAL": {
                "text, and becomes a real number": f"typeof({value}) = 'text' AND {is_number}",
                "an integer, and becomes a real number": f"typeof({value}) = 'integer'",
            },
            "BLOB": {},
        }.get(
            target,
            {
                "text, and becomes a number": f"typeof({value}) = 'text' AND {is_number}",
                "a real number, and becomes an integer": f"typeof({value}) = 'real' AND {is_whole}",
            },
        )
        for says, where in changes.items():
            yield Guard(
                f"{wanted.name}.{column.name} ({column.type}) is {says}",
                f"FROM {quoted(table.name)} WHERE {where}",
                "''",
            )
