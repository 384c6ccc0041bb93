"""The text of a CREATE TABLE taken apart: its columns, their clauses, and the table's constraints.

Pragmas tell what a column *is*; to add it to another table, or to change a constraint and leave all
else as an application wrote it, its text is needed.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from .text import SPACE, TOKEN, fold, tokens, unquoted

_CONSTRAINTS = {"constraint", "primary", "unique", "check", "foreign"}
_CLAUSES = {
    *("constraint", "primary", "not", "null", "unique", "check", "default", "collate"),
    *("references", "generated", "as"),
}
# After these a word of _CLAUSES goes on with the clause: SET NULL, DEFAULT NULL, ALWAYS AS ...
_GOES_ON = {"set", "default", "always", "not", "constraint"}


class Clause(NamedTuple):
    """One constraint of a column, or the one that a definition of the table's own is. `text` has
    neither comments nor new lines, `written` is as it stands in the statement, from `start` on.
    """

    keyword: str
    text: str
    written: str = ""
    start: int = 0


class Definition(NamedTuple):
    """One part between the commas: of a column (its name is not empty) or of a constraint.

    `start` and `end` are offsets in the text of the statement, comments around it left out.
    `spelled` is the name of a column as it is written, `type` its type.
    """

    column: str
    start: int
    end: int
    text: str
    clauses: tuple[Clause, ...]
    spelled: str = ""
    type: str = ""

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
    names, depth, before = [fold(definition.column)], 0, ""
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


class Check(NamedTuple):
    """A CHECK: its `name`, if it has one, and the text between its parentheses, as written."""

    name: str
    text: str


def check_of(clause: Clause) -> Check:
    """What a clause with the keyword `check` says."""
    found = list(_meaning(clause.written))
    at = next(n for n, one in enumerate(found) if one.group().lower() == "check")
    name = unquoted(found[1].group()) if at == 2 else ""  # CONSTRAINT name CHECK
    depth = 0
    for one in found[at + 1 :]:
        depth += (one.group() == "(") - (one.group() == ")")
        if not depth:
            return Check(name, clause.written[found[at + 1].end() : one.start()].strip(SPACE))
    raise ValueError(f"no expression in {clause.written!r}")


class Reference(NamedTuple):
    """What a foreign key references and from where, folded; `key` is empty where the text does not
    say it.
    """

    columns: tuple[str, ...]
    parent: str
    key: tuple[str, ...]


def reference_of(definition: Definition, clause: Clause) -> Reference | None:
    """What a REFERENCES or FOREIGN KEY clause says; None for another clause."""
    if clause.keyword not in ("references", "foreign"):
        return None
    words = list(_meaning(clause.text))
    at = next(n for n, one in enumerate(words) if one.group().lower() == "references")
    columns = (fold(definition.column),) if definition.column else _names(words[:at])
    return Reference(columns, fold(unquoted(words[at + 1].group())), _names(words[at + 2 :]))


def _names(words: list[re.Match[str]]) -> tuple[str, ...]:
    """The names between the first parentheses."""
    texts = [one.group() for one in words]
    if "(" not in texts:
        return ()
    inside = texts[texts.index("(") + 1 : texts.index(")")]
    return tuple(fold(unquoted(name)) for name in inside if name != ",")


def deferral(clause: Clause) -> str:
    """The end of a foreign key that says when it is enforced, such as DEFERRABLE INITIALLY
    DEFERRED; empty without.
    """
    words = list(_meaning(clause.text))
    for at, one in enumerate(words):
        if one.group().lower() == "deferrable":
            at -= words[at - 1].group().lower() == "not"
            return clause.text[words[at].start() :]
    return ""


def unqualified(expression: str, table: str) -> str:
    """An expression with its columns no longer named by their table, which in a constraint can be
    only its own.
    """
    found = list(_meaning(expression))
    drop = set()
    for at, one in enumerate(found[:-2]):
        is_name = one.lastgroup in ("word", "quoted") and found[at + 1].group() == "."
        if is_name and fold(unquoted(one.group())) == fold(table):
            drop |= {at, at + 1}
    kept, end = [], 0
    for at in sorted(drop):
        kept.append(expression[end : found[at].start()])
        end = found[at].end()
    return "".join([*kept, expression[end:]])


def plain(sql: str) -> str:
    """The text on one line, without comments."""
    if not any(sign in sql for sign in ("  ", "\n", "\t", "\r", "\f", "--", "/*")):
        return sql.strip(" ")  # which is seen faster
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
    text = sql[start:end]
    if is_constraint:
        return Definition("", start, end, text, tuple(_clauses(sql, part, whole=True)))
    clauses = tuple(_clauses(sql, part[1:], whole=False))
    spelled = part[0].group()
    type_ = plain(sql[part[0].end() : clauses[0].start if clauses else end])
    return Definition(unquoted(spelled), start, end, text, clauses, spelled, type_)


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
        yield Clause(keyword, plain(sql[start:end]), sql[start:end].strip(SPACE), start)
