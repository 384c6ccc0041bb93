"""Values as SQLite has them, to a cluster and back: rqlite itself changes some of them."""

import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from ..schema.text import LETTER, TOKEN, is_utf8, string

Value = None | int | float | str | bytes
Parameters = Sequence[object] | Mapping[str, object]

_MARKED = re.compile(
    rf"(?P<mark> \?[0-9]* | [:@$]{LETTER}+ ) | {TOKEN.pattern}", re.VERBOSE | re.DOTALL
)
"""A token, or the mark of a parameter (SQLite documentation, "SQL Language Expressions")."""

_RESULT = "abathur_result"
"""A name that no table has: to the query inside, the table of that name would be the query."""


def lossless(sql: str, columns: int) -> str:
    """A SELECT whose values arrive as they are: each as its storage class and itself, text and
    BLOBs in hexadecimal. rqlite changes values by the declared types of their columns.
    """
    names = [f"c{number}" for number in range(columns)]
    # MATERIALIZED: once only, if it calls random().
    parts = ", ".join(
        f"typeof({c}), CASE typeof({c}) WHEN 'text' THEN hex({c}) WHEN 'blob' THEN hex({c})"
        f" WHEN 'real' THEN iif(abs({c}) = 9e999, CAST({c} AS TEXT), {c}) ELSE {c} END"
        for c in names
    )
    query = f"{_RESULT}({', '.join(names)}) AS MATERIALIZED (\n{sql}\n)"
    return f"WITH {query} SELECT {parts} FROM {_RESULT}"


def decoded(row: Sequence[Any]) -> tuple[Value, ...]:
    """The values of a row of `lossless`; text that is not UTF-8 with surrogates."""
    return tuple(_decoded(kind, value) for kind, value in zip(row[::2], row[1::2], strict=True))


def _decoded(kind: str, value: Any) -> Value:
    if kind in ("text", "blob"):
        content = bytes.fromhex(value)
        return content if kind == "blob" else content.decode("utf-8", "surrogateescape")
    if kind == "real":
        return float(value)  # also of Inf and -Inf
    whole: Value = value
    return whole


def storable(value: Value) -> Value:
    """A value as Python may give it to SQLite: text that is not UTF-8 by its bytes."""
    if isinstance(value, str) and not is_utf8(value):
        return value.encode("utf-8", "surrogateescape")
    return value


def literal_of(value: object) -> str:
    """A parameter as an SQL literal: rqlite has no parameters of BLOBs, and takes an integer that
    is too large for another. Raises what sqlite3 raises for the same value.
    """
    match value:
        case None:
            return "NULL"
        case bool() | int():
            if not -(2**63) <= value < 2**63:
                raise OverflowError("Python int too large to convert to SQLite INTEGER")
            return str(int(value)) if value > -(2**63) else "(-9223372036854775807 - 1)"
        case float():
            if math.isnan(value):
                return "NULL"
            return repr(float(value)) if math.isfinite(value) else f"{'-' * (value < 0)}9e999"
        case str():
            content = value.encode()  # raises UnicodeEncodeError
            return f"CAST(x'{content.hex()}' AS TEXT)" if b"\0" in content else string(value)
        case bytes() | bytearray() | memoryview():
            return f"x'{bytes(value).hex()}'"
        case _:
            return _adapted(value)


def _adapted(value: object) -> str:
    try:
        adapted = sqlite3.adapt(value, sqlite3.PrepareProtocol, None)
        return literal_of(memoryview(value) if adapted is None else adapted)  # type: ignore[arg-type]
    except TypeError as error:
        raise sqlite3.ProgrammingError(f"type {type(value).__name__!r} is not supported") from error


def filled(sql: str, parameters: Parameters = ()) -> str:
    """A statement with its parameters as literals, and without the semicolon and comments at its
    end: a request with only a comment after a semicolon never ends. Raises what sqlite3 raises for
    wrong parameters.
    """
    parts: list[str] = []
    known: dict[str, int] = {}
    end = last = 0
    for match in _MARKED.finditer(sql):
        kind, text = match.lastgroup, match.group()
        if kind == "mark":
            is_numbered = text[0] == "?" and len(text) > 1
            number = int(text[1:]) if is_numbered else last + 1
            number = number if text[0] == "?" else known.setdefault(text, number)
            last = max(last, number)
            # With blanks: `-?` must not begin a comment, nor `LIMIT?` be one word.
            parts.append(f" {literal_of(_given(parameters, text[1:], number))} ")
        else:
            parts.append(text)
        if kind != "space" and text != ";":
            end = len(parts)
    if not isinstance(parameters, Mapping) and last != len(parameters):
        raise sqlite3.ProgrammingError(
            f"the statement uses {last} parameters, and there are {len(parameters)} supplied"
        )
    return "".join(parts[:end]).strip()


def _given(parameters: Parameters, name: str, number: int) -> object:
    try:
        return parameters[name] if isinstance(parameters, Mapping) else parameters[number - 1]
    except LookupError as error:
        raise sqlite3.ProgrammingError(f"no value for parameter {name or number}") from error


def digest(sql: str, columns: int) -> str:
    """An expression for the whole result of a query as text, whatever the order of its rows: that
    may differ from node to node, and every node decides by it.
    """
    names = [f"c{number}" for number in range(columns)]
    # quote() ends at U+0000, and the text of JSON has no bytes that are not UTF-8.
    row = " || ',' || ".join(
        f"iif(typeof({name}) = 'text', 't' || hex({name}), quote({name}))" for name in names
    )
    return (
        f"(WITH {_RESULT}({', '.join(names)}) AS MATERIALIZED (\n{sql}\n)"
        " SELECT count(*) || ':' || ifnull(group_concat(a_row, ';'), '')"
        f" FROM (SELECT {row} AS a_row FROM {_RESULT} ORDER BY 1))"
    )
