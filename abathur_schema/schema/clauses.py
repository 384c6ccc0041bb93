"""COLLATE and ON CONFLICT of columns and keys, which no pragma reports."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from .create_table import Clause, Definition, body, definitions
from .text import TOKEN, fold, tokens, unquoted

if TYPE_CHECKING:
    from .edited_text import Part


def clauses_by_name(create_table: str) -> dict[str, tuple[str, ...]]:
    """COLLATE and ON CONFLICT, by the folded name of the column, or by the `key_name` of a UNIQUE
    or PRIMARY KEY. SQLite's defaults are left out.
    """
    found: dict[str, tuple[str, ...]] = {}
    if "collate" not in create_table.lower() and "conflict" not in create_table.lower():
        return found
    parts = definitions(create_table)
    of_columns = collations(parts)
    for definition in parts:
        for clause in definition.clauses:
            name = key_name(definition, clause, of_columns) or fold(definition.column)
            for told in _told(clause):
                found[name] = (*found.get(name, ()), told)
    return found


def collations_by_name(clauses: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The collations among `clauses_by_name`; of two on one column, SQLite takes the last."""
    return {
        name: told.removeprefix("COLLATE ")
        for name, of_name in clauses.items()
        for told in of_name
        if told.startswith("COLLATE ")
    }


def collations(parts: "Iterable[Definition | Part]") -> dict[str, str]:
    """The folded names of the columns that have a collation other than BINARY, with that."""
    return {
        fold(part.column): fold(told.removeprefix("COLLATE "))
        for part in parts
        for clause in part.clauses
        if clause.keyword == "collate"
        for told in _told(clause)
    }


def _told(clause: Clause) -> Iterator[str]:
    for before, token in pairwise(tokens(clause.text)):
        if before == ("word", "conflict") and token.text != "abort" and clause.keyword != "check":
            yield f"ON CONFLICT {token.text.upper()}"
        elif before == ("word", "collate") and clause.keyword == "collate":
            collation = unquoted(token.text).upper()
            if collation != "BINARY":
                yield f"COLLATE {collation}"


def key_name(definition: Definition, clause: Clause, of_columns: Mapping[str, str]) -> str:
    """A name for the columns of a UNIQUE or PRIMARY KEY, such as `UNIQUE (task_id, key)`, whether
    it is a column or a table constraint; empty for other clauses.

    A UNIQUE has the collations by which it compares, as in `Schema.uniques_of`: its own, or those
    `of_columns`. A PRIMARY KEY does not need them, as a table has only one.
    """
    if clause.keyword not in ("unique", "primary"):
        return ""
    is_unique = clause.keyword == "unique"
    column = fold(definition.column)
    names = []
    for name, own in [(column, "")] if column else _keyed(clause.text):
        collation = own or of_columns.get(name, "binary")
        is_told = is_unique and collation != "binary"
        names.append(f"{name} collate {collation}" if is_told else name)
    return f"{'UNIQUE' if is_unique else 'PRIMARY KEY'} ({', '.join(names)})"


def _keyed(constraint: str) -> Iterator[tuple[str, str]]:
    """The columns of a UNIQUE or PRIMARY KEY of the table, folded, each with the collation that
    stands there, or empty.
    """
    start, end = body(constraint)
    inside = TOKEN.finditer(constraint, start + 1, end)
    texts = (one.group() for one in inside if one.lastgroup != "space")
    for is_comma, part in groupby(texts, lambda text: text == ","):
        if not is_comma:
            name, *words = (fold(unquoted(text)) for text in part if text not in ("(", ")"))
            yield name, dict(pairwise(words)).get("collate", "")
