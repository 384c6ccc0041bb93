"""The text of a CREATE TABLE taken apart: its columns, their clauses, and the table's constraints.

Pragmas tell what a column *is*; to add it to another table, or to carry what an application wrote
over into a rebuilt one, its text is needed.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from .sql_text import TOKEN, fold, tokens, unquoted

_CONSTRAINTS = {"constraint", "primary", "unique", "check", "foreign"}
_CLAUSES = {
    *("constraint", "primary", "not", "null", "unique", "check", "default", "collate"),
    *("references", "generated", "as"),
}
# After these a word of _CLAUSES goes on with the clause: SET NULL, DEFAULT NULL, ALWAYS AS ...
_GOES_ON = {"set", "default", "always", "not", "constraint"}


class Clause(NamedTuple):
    """One constraint of a column, or the one that a definition of the table's own is."""

    keyword: str
    text: str


class Definition(NamedTuple):
    """One part between the commas: of a column (its name is not empty) or of a constraint.

    `start` and `end` are offsets in the text of the statement, comments around it left out.
    """

    column: str
    start: int
    end: int
    text: str
    clauses: tuple[Clause, ...]

    def has(self, keyword: str) -> bool:
        """Whether one of its clauses begins with this keyword (lower case)."""
        return any(clause.keyword == keyword for clause in self.clauses)


@lru_cache(maxsize=64)
def definitions(sql: str) -> tuple[Definition, ...]:
    """The definitions of a CREATE TABLE statement, in order; none of a table made AS SELECT."""
    found: list[Definition] = []
    part: list[re.Match[str]] = []
    depth = 0
    for match in _meaning(sql):
        sign = match.group() if match.lastgroup == "sign" else ""
        depth -= sign == ")"
        if (depth == 1 and sign == ",") or (depth == 0 and part):
            found.append(_definition(sql, part))
            part = []
            if depth == 0:
                break
        elif depth >= 1:
            if depth == 1 and _begins_another(part, match):
                found.append(_definition(sql, part))
                part = []
            part.append(match)
        depth += sign == "("
    return tuple(found)


def clauses_by_name(create_table: str) -> dict[str, tuple[str, ...]]:
    """COLLATE and ON CONFLICT, which no pragma tells, by the folded name of the column, or of a
    UNIQUE or PRIMARY KEY as `key_name` gives it; SQLite's own defaults are left out.
    """
    found: dict[str, tuple[str, ...]] = {}
    if "collate" not in create_table.lower() and "conflict" not in create_table.lower():
        return found
    for definition in definitions(create_table):
        for clause in definition.clauses:
            name = key_name(definition, clause) or fold(definition.column)
            for told in _told(clause):
                found[name] = (*found.get(name, ()), told)
    return found


def _told(clause: Clause) -> Iterator[str]:
    for before, token in pairwise(tokens(clause.text)):
        if before == ("word", "conflict") and token.text != "abort" and clause.keyword != "check":
            yield f"ON CONFLICT {token.text.upper()}"
        elif before == ("word", "collate") and clause.keyword == "collate":
            collation = unquoted(token.text).upper()
            if collation != "BINARY":
                yield f"COLLATE {collation}"


def key_name(definition: Definition, clause: Clause) -> str:
    """What a UNIQUE or PRIMARY KEY is about, such as `UNIQUE (task_id, key)`, wherever it stands;
    empty for all else.
    """
    if clause.keyword not in ("unique", "primary"):
        return ""
    names, depth, before = [definition.column.lower()], 0, ""
    for token in tokens("" if definition.column else clause.text):
        if depth == 1 and before in ("(", ","):
            names.append(unquoted(token.text))
        depth += (token == ("sign", "(")) - (token == ("sign", ")"))
        before = token.text if token.kind == "sign" else ""
    kind = {"unique": "UNIQUE", "primary": "PRIMARY KEY"}[clause.keyword]
    return f"{kind} ({', '.join(filter(None, names))})"


def body(sql: str) -> tuple[int, int]:
    """The offsets of the two parentheses around the definitions."""
    start, depth = -1, 0
    for match in _meaning(sql):
        sign = match.group() if match.lastgroup == "sign" else ""
        if sign == "(" and start < 0:
            start = match.start()
        depth += (sign == "(") - (sign == ")")
        if sign == ")" and depth == 0:
            return start, match.start()
    raise ValueError(f"no definitions in {sql!r}")


def with_commas(sql: str) -> str:
    """The same statement with all the commas that SQLite does not ask for."""
    start, end = body(sql)
    return f"{sql[:start]}({', '.join(one.text for one in definitions(sql))}{sql[end:]}"


def plain(sql: str) -> str:
    """The text on one line, without comments."""
    words: list[str] = []
    for match in TOKEN.finditer(sql):
        if match.lastgroup != "space":
            words.append(match.group())
        elif words and words[-1] != " ":
            words.append(" ")
    return "".join(words).strip(" ")


def _meaning(sql: str) -> Iterator[re.Match[str]]:
    return (match for match in TOKEN.finditer(sql) if match.lastgroup != "space")


def _begins_another(part: list[re.Match[str]], match: re.Match[str]) -> bool:
    """Whether a constraint of the table ends here without a comma, because the next one begins."""

    def word(one: re.Match[str]) -> str:
        return one.group().lower() if one.lastgroup == "word" else ""

    if word(match) not in _CONSTRAINTS or not part or word(part[0]) not in _CONSTRAINTS:
        return False
    return any(word(one) in _CONSTRAINTS - {"constraint"} for one in part)


def _definition(sql: str, part: list[re.Match[str]]) -> Definition:
    start, end = part[0].start(), part[-1].end()
    is_constraint = part[0].lastgroup == "word" and part[0].group().lower() in _CONSTRAINTS
    name = "" if is_constraint else unquoted(part[0].group())
    clauses = tuple(_clauses(sql, part if is_constraint else part[1:], whole=is_constraint))
    return Definition(name, start, end, sql[start:end], clauses)


def _clauses(sql: str, part: list[re.Match[str]], *, whole: bool) -> Iterator[Clause]:
    """The clauses of one definition; a constraint of the table is one clause as a `whole`."""
    starts: list[tuple[str, int]] = []
    depth, before, is_named = 0, "", False
    for position, match in enumerate(part):
        text = match.group()
        word = text.lower() if match.lastgroup == "word" else ""
        follows = part[position + 1].group().lower() if position + 1 < len(part) else ""
        begins = word in _CLAUSES or (word == "foreign" and whole)
        if depth == 0 and begins and before not in _GOES_ON and follows != "deferrable":
            if is_named:  # CONSTRAINT name CHECK: the name belongs to it
                starts[-1] = (word, starts[-1][1])
            elif not (whole and starts):
                starts.append((word, match.start()))
            is_named = word == "constraint"
        depth += (text == "(") - (text == ")")
        # A name, what SET sets, and ALWAYS in the name of a type have no say in what follows.
        is_name = before in ("constraint", "set") or (word == "always" and before != "generated")
        before = "" if is_name else word
    ends = [*(start for _, start in starts[1:]), part[-1].end() if part else 0]
    for (keyword, start), end in zip(starts, ends, strict=False):
        yield Clause(keyword, plain(sql[start:end]))
