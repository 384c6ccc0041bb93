"""Differences as a person compares them: what is there, beside what is declared."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..declared.declaration import Declared
from ..schema.difference import (
    Difference,
    Missing,
    NameTaken,
    OtherIndex,
    OtherTable,
    OtherText,
    differences,
    kind_of,
)
from ..schema.model import Column, Index, Schema
from ..schema.table_changes import (
    MissingColumn,
    OtherAction,
    OtherClauses,
    OtherColumn,
    OtherPrimaryKey,
)


class Contrast(NamedTuple):
    """What one thing is and what is declared; either may be empty."""

    of: str
    there: str
    declared: str


def contrasts(declared: Declared, live: Schema | None) -> Mapping[str, list[Contrast]]:
    """The contrasts of each difference from `live`, by what `verify` says about it."""
    if live is None:
        return {}
    found = differences(declared.schema, live, declared.names)
    return {str(one): [*_contrasts(one)] for one in found}


def _contrasts(other: Difference) -> Iterator[Contrast]:
    wanted = other.declared
    name = f"{kind_of(wanted)} {wanted.name}"
    if isinstance(other, OtherTable):
        for change in other.changes:
            yield _of_change(name, change)
    elif isinstance(other, OtherIndex):
        yield Contrast(name, str(other.live), str(other.declared))
    elif isinstance(other, NameTaken):
        yield Contrast(name, other.found, _form(wanted))
    elif isinstance(other, Missing):
        yield Contrast(name, "", _form(wanted))
    elif isinstance(other, OtherText):
        yield Contrast(name, " ".join(other.live.sql.split()), " ".join(other.declared.sql.split()))


def _form(wanted: object) -> str:
    if isinstance(wanted, Index):
        return str(wanted)
    columns = getattr(wanted, "columns", ())
    return f"{len(columns)} columns" if columns else "as in sql/"


def _of_change(table: str, change: object) -> Contrast:
    if isinstance(change, MissingColumn):
        return Contrast(table, "", _column(change.column))
    if isinstance(change, OtherColumn):
        return Contrast(table, _column(change.live), _column(change.declared))
    if isinstance(change, OtherPrimaryKey):
        there, wanted = map(", ".join, (change.live, change.declared))
        return Contrast(table, f"PRIMARY KEY ({there})", f"PRIMARY KEY ({wanted})")
    if isinstance(change, OtherAction):
        event = change.event.upper().replace("_", " ")
        key = f"FOREIGN KEY ({', '.join(change.key.columns)}) {event}"
        wanted = getattr(change.key, change.event)
        return Contrast(table, f"{key} {change.live}", f"{key} {wanted}")
    if isinstance(change, OtherClauses):
        there, wanted = map(", ".join, (change.live, change.declared))
        return Contrast(table, f"{change.of} {there}", f"{change.of} {wanted}")
    text = str(change)
    missing = text.removesuffix(" is missing")
    return Contrast(table, "", missing) if missing != text else Contrast(table, text, "")


def _column(column: Column) -> str:
    parts = [column.name, column.type, "NOT NULL" if column.notnull else ""]
    parts.append(f"DEFAULT {column.default}" if column.default else column.generated)
    return " ".join(filter(None, parts))
