"""UNIQUE of the application on columns whose collation changes: it compares as it did."""

import re
from collections.abc import Mapping, Sequence

from .create_table import body
from .edited_text import Text
from .model import Schema, Table, reference
from .table_changes import OtherClauses, TableChange
from .text import TOKEN, fold, quoted, unquoted


def recollated(live: Schema, table: Table, changes: Sequence[TableChange]) -> dict[str, str]:
    """The columns (folded) that will have another collation, each with its present one; without
    those that foreign keys reference: a parent's key must have the collation of its column.
    """
    found = {}
    for one in changes:
        if isinstance(one, OtherClauses) and one.of.startswith("column "):
            there, ours = (
                [told.removeprefix("COLLATE ") for told in clauses if told.startswith("COLLATE ")]
                for clauses in (one.live, one.declared)
            )
            if there != ours:
                found[fold(one.of.removeprefix("column "))] = quoted((there or ["BINARY"])[-1])
    for child in live.tables.values() if found else ():
        for key in child.foreign_keys:
            if fold(key.other_table) == fold(table.name):
                found = {name: found[name] for name in found.keys() - {*reference(key).key}}
    return found


def keep_uniques(text: Text, collation_of: Mapping[str, str]) -> None:
    """Have the UNIQUE constraints compare as they do, whatever becomes of their columns."""
    for part in text.parts if collation_of else ():
        for clause in [one for one in part.clauses if one.keyword == "unique"]:
            said = clause.text
            if part.column:
                if fold(part.column) not in collation_of:
                    continue
                words = (one for one in TOKEN.finditer(said) if one.lastgroup == "word")
                at = next(one.end() for one in words if one.group().lower() == "unique")
                said = f"{said[:at]} ({part.of.spelled}){said[at:]}"
            said = with_collations(said, collation_of)
            if part.column:
                part.keep(one for one in part.clauses if one is not clause)
                text.constraints.append(said)
            elif said != clause.text:
                part.clauses[part.clauses.index(clause)] = clause._replace(text=said)
                part.is_changed = True


def with_collations(keys: str, collation_of: Mapping[str, str]) -> str:
    """A UNIQUE constraint or CREATE INDEX that says itself what collations these columns (folded)
    have in it, where it has left that to the columns.
    """
    start, end = body(keys)
    parts: list[list[re.Match[str]]] = [[]]
    depth = 0
    for one in TOKEN.finditer(keys, start + 1, end):
        depth += (one.group() == "(") - (one.group() == ")")
        if one.group() == "," and not depth:
            parts.append([])
        elif one.lastgroup != "space" and one.group() not in ("(", ")"):
            parts[-1].append(one)
    for column, *order in reversed(parts):
        collation = collation_of.get(fold(unquoted(column.group())))
        if collation and all(one.group().lower() in ("asc", "desc") for one in order):
            at = column.end()
            keys = f"{keys[:at]} COLLATE {collation}{keys[at:]}"
    return keys
