"""Values as SQLite has them, to a cluster and back: rqlite itself changes some of them."""

import math
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from ..schema.text import TOKEN, is_utf8, string

Value = None | int | float | str | bytes
Parameters = Sequence[object] | Mapping[str, object]


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
    return f"WITH q({', '.join(names)}) AS MATERIALIZED (\n{sql}\n) SELECT {parts} FROM q"


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
            return repr(value) if math.isfinite(value) else f"{'-' * (value < 0)}9e999"
        case str():
            if "\0" in value:
                return f"CAST(x'{value.encode('utf-8', 'surrogateescape').hex()}' AS TEXT)"
            return string(value)
        case bytes() | bytearray() | memoryview():
            return f"x'{bytes(value).hex()}'"
        case _:
            raise sqlite3.ProgrammingError(f"type {type(value).__name__!r} is not supported")


def filled(sql: str, parameters: Parameters = ()) -> str:
    """A statement with its parameters as literals, and without the semicolon and comments at its
    end: a request with only a comment after a semicolon never ends. Raises what sqlite3 raises for
    wrong parameters.
    """
    parts: list[str] = []
    end, number, colon = 0, 0, False
    for match in TOKEN.finditer(sql):
        kind, text = match.lastgroup, match.group()
        if colon and kind == "word":
            parts[-1] = literal_of(_of_name(parameters, text))
        elif kind == "sign" and text == "?":
            parts.append(literal_of(_at(parameters, number)))
            number += 1
        else:
            parts.append(text)
        colon = kind == "sign" and text in (":", "@")
        if kind != "space" and text != ";":
            end = len(parts)
    if number != (0 if isinstance(parameters, Mapping) else len(parameters)):
        raise sqlite3.ProgrammingError(
            f"the statement uses {number} parameters, and there are {len(parameters)} supplied"
        )
    return "".join(parts[:end])


def _at(parameters: Parameters, number: int) -> object:
    if isinstance(parameters, Mapping) or number >= len(parameters):
        raise sqlite3.ProgrammingError(f"no value for parameter {number + 1}")
    return parameters[number]


def _of_name(parameters: Parameters, name: str) -> object:
    if not isinstance(parameters, Mapping) or name not in parameters:
        raise sqlite3.ProgrammingError(f"no value for parameter :{name}")
    return parameters[name]


def digest(sql: str, columns: int) -> str:
    """An expression for the whole result of a query as text, whatever the order of its rows: that
    may differ from node to node, and every node decides by it.
    """
    names = [f"c{number}" for number in range(columns)]
    row = " || ',' || ".join(f"quote({name})" for name in names)
    return (
        f"(WITH q({', '.join(names)}) AS MATERIALIZED (\n{sql}\n)"
        " SELECT count(*) || ':' || ifnull(group_concat(a_row, ';'), '')"
        f" FROM (SELECT {row} AS a_row FROM q ORDER BY 1))"
    )
