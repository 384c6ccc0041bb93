"""UNIQUE of the application on columns whose collation changes: it compares as it did."""

import re
from collections.abc import Mapping

from .create_table import body
from .edited_text import Text
from .model import Schema, Table, reference
from .text import TOKEN, fold, quoted, unquoted


def recollated(live: Schema, table: Table, wanted: Table) -> dict[str, str]:
    """The columns (folded) that will have another collation, each with its present one; without
    those that foreign keys reference: a parent's key must have the collation of its column.
    """
    pairs = {
        name: (table.collations.get(name, "BINARY"), wanted.collations.get(name, "BINARY"))
        for name in table.column.keys() & wanted.column.keys()
    }
    found = {name: quoted(there) for name, (there, ours) in pairs.items() if there != ours}
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
