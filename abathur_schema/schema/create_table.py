"""CREATE TABLE statements taken apart: columns, their clauses, and table constraints.

Pragmas describe a column, but adding it to another table, or changing one constraint and leaving
the rest exactly as an application wrote it, requires its text.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

from .text import SPACE, TOKEN, fold, unquoted

_KINDS = {"primary", "unique", "check", "foreign"}
_CONSTRAINTS = {"constraint", *_KINDS}
_CLAUSES = {
    *("constraint", "primary", "not", "null", "unique", "check", "default", "collate"),
    *("references", "generated", "as"),
}
# After these, a word of _CLAUSES continues the clause: SET NULL, DEFAULT NULL, ALWAYS AS ...
_GOES_ON = {"set", "default", "always", "not", "constraint"}

_NOT_PLAIN = re.compile(r"  |[\n\t\r\f]|--|/\*")

Token = tuple[str, str, int, int]
"""The word in lower case (empty unless a bare word), the text as written, its start and its end."""

_END: Token = ("", "", 0, 0)


class Clause(NamedTuple):
    """A column constraint, or the single clause of a table constraint. `text` has no comments or
    line breaks; `written` is the original text, which begins at `start`.
    """

    keyword: str
    text: str
    written: str = ""
    start: int = 0


class Definition:
    """A column definition (`column` is not empty) or a table constraint.

    `start` and `end` are offsets in the statement, excluding surrounding comments. `spelled` is the
    column's name as written. Its clauses are taken apart when they are first asked for.
    """

    def __init__(self, sql: str, part: Sequence[Token]) -> None:
        word, spelled, self.start, _ = part[0]
        self.end = part[-1][3]
        self.text = sql[self.start : self.end]
        self.spelled = "" if word in _CONSTRAINTS else spelled
        self.column = unquoted(self.spelled)
        self._sql, self._part = sql, part

    def says(self, word: str) -> bool:
        """Whether its text contains a keyword (lower case): where not, it has no such clause."""
        return word in self.text.lower()

    def has(self, keyword: str) -> bool:
        """Whether any of its clauses begins with this keyword (lower case)."""
        return self.says(keyword) and any(clause.keyword == keyword for clause in self.clauses)

    @cached_property
    def clauses(self) -> tuple[Clause, ...]:
        """Its clauses, in order; a table constraint is one."""
        if self.spelled:
            return tuple(_clauses(self._sql, self._part[1:]))
        keyword = next((word for word, *_ in self._part if word in _KINDS), self._part[0][0])
        return (Clause(keyword, plain(self.text), self.text, self.start),)

    @property
    def type(self) -> str:
        """The type of a column."""
        end = self.clauses[0].start if self.clauses else self.end
        return plain(self._sql[self._part[0][3] : end]) if self.spelled else ""


@lru_cache(maxsize=64)
def definitions(sql: str) -> tuple[Definition, ...]:
    """The definitions of a CREATE TABLE statement, in order; empty for CREATE TABLE ... AS."""
    found: list[Definition] = []
    part: list[Token] = []
    depth = 0
    for token in _meaning(sql):
        word, text, _, _ = token
        if text == "(":
            depth += 1
            if depth == 1:
                continue
        elif text == ")":
            depth -= 1
            if depth == 0 and part:
                found.append(Definition(sql, part))
                break
        elif depth == 1 and (text == "," or (word in _CONSTRAINTS and _is_whole(part))):
            found.append(Definition(sql, part))
            part = []
            if text == ",":
                continue
        if depth:
            part.append(token)
    return tuple(found)


def body(sql: str) -> tuple[int, int]:
    """The offsets of the parentheses that enclose the definitions."""
    start, depth = -1, 0
    for _, text, at, _ in _meaning(sql):
        if text == "(" and start < 0:
            start = at
        depth += (text == "(") - (text == ")")
        if text == ")" and depth == 0:
            return start, at
    raise ValueError(f"no definitions in {sql!r}")


class Check(NamedTuple):
    """A CHECK: its `name`, if any, and the expression as written."""

    name: str
    text: str


def check_of(clause: Clause) -> Check:
    """Parse a clause whose keyword is `check`."""
    found = _meaning(clause.written)
    is_named = _place(found, "check") == 2  # CONSTRAINT name CHECK
    return Check(unquoted(found[1][1]) if is_named else "", expression_of(clause, "check"))


def expression_of(clause: Clause, keyword: str) -> str:
    """The expression in parentheses that follows a keyword of the clause, as written."""
    found = _meaning(clause.written)
    found, depth = found[_place(found, keyword) + 1 :], 0
    for _, text, start, _ in found:
        depth += (text == "(") - (text == ")")
        if not depth:
            return clause.written[found[0][3] : start].strip(SPACE)
    raise ValueError(f"no expression in {clause.written!r}")


class Reference(NamedTuple):
    """The columns of a foreign key, its parent table and the parent's columns, folded; `key` is
    empty where the text leaves it out.
    """

    columns: tuple[str, ...]
    parent: str
    key: tuple[str, ...]


def reference_of(definition: Definition, clause: Clause) -> Reference | None:
    """Parse a REFERENCES or FOREIGN KEY clause; None for any other clause."""
    if clause.keyword not in ("references", "foreign"):
        return None
    return _reference(fold(definition.column), clause.text)


@lru_cache(maxsize=256)
def _reference(column: str, clause: str) -> Reference:
    found = _meaning(clause)
    at = _place(found, "references")
    columns = (column,) if column else _names(found[:at])
    return Reference(columns, fold(unquoted(found[at + 1][1])), _names(found[at + 2 :]))


def _names(found: list[Token]) -> tuple[str, ...]:
    """The names inside the first pair of parentheses."""
    texts = [text for _, text, _, _ in found]
    if "(" not in texts:
        return ()
    inside = texts[texts.index("(") + 1 : texts.index(")")]
    return tuple(fold(unquoted(name)) for name in inside if name != ",")


def deferral(clause: Clause) -> str:
    """The end of a foreign key that says when it is enforced, such as DEFERRABLE INITIALLY
    DEFERRED; otherwise empty.
    """
    found = _meaning(clause.text)
    for at, (word, _, start, _) in enumerate(found):
        if word == "deferrable":
            return clause.text[found[at - 1][2] if found[at - 1][0] == "not" else start :]
    return ""


def unqualified(expression: str, table: str) -> str:
    """The expression with its columns no longer qualified by their table: in a constraint that can
    only be the table itself.
    """
    found = _meaning(expression)
    kept, end = [""], 0
    for (word, text, start, until), (_, dot, at, after) in pairwise(found[:-1]):
        is_name = word or text[0] in ('"', "`", "[")
        if dot == "." and is_name and fold(unquoted(text)) == fold(table):
            kept += expression[end:start], expression[until:at]
            end = after
    return "".join([*kept, expression[end:]])


def plain(sql: str) -> str:
    """The text on one line, without comments."""
    if not _NOT_PLAIN.search(sql):
        return sql.strip(" ")  # a shortcut
    words: list[str] = []
    for match in TOKEN.finditer(sql):
        if match.lastgroup != "space":
            words.append(match.group())
        elif words and words[-1] != " ":
            words.append(" ")
    return "".join(words).strip(" ")


def _meaning(sql: str) -> list[Token]:
    """The tokens other than white space and comments."""
    found, start = [], 0
    for space, literal, quoted, word, sign in TOKEN.findall(sql):
        text = space or word or sign or quoted or literal
        end = start + len(text)
        if not space:
            found.append((word.lower(), text, start, end))
        start = end
    return found


def _place(found: list[Token], keyword: str) -> int:
    return next(at for at, (word, _, _, _) in enumerate(found) if word == keyword)


def _is_whole(part: list[Token]) -> bool:
    """Whether `part` is a complete table constraint; such a constraint needs no comma after it."""
    return bool(part) and part[0][0] in _CONSTRAINTS and any(word in _KINDS for word, *_ in part)


def _clauses(sql: str, part: Sequence[Token]) -> Iterator[Clause]:
    """The clauses of a column, without its name."""
    starts: list[tuple[str, int]] = []
    depth, before, is_named = 0, "", False
    following = [*part[1:], _END]
    for at, (word, text, start, _) in enumerate(part):
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
        elif (
            word in _CLAUSES
            and not depth
            and before not in _GOES_ON
            and following[at][0] != "deferrable"
        ):
            if is_named:  # CONSTRAINT name CHECK: the name belongs to it
                starts[-1] = (word, starts[-1][1])
            else:
                starts.append((word, start))
            is_named = word == "constraint"
        # A name, the action after SET, and ALWAYS in a type's name do not affect what follows.
        is_name = before in ("constraint", "set") or (word == "always" and before != "generated")
        before = "" if is_name else word
    starts.append(("", part[-1][3] if part else 0))
    for (keyword, start), (_, end) in pairwise(starts):
        text = sql[start:end].rstrip(SPACE)
        yield Clause(keyword, plain(text), text, start)
