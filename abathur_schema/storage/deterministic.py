"""Statements that do the same on every node of a cluster: rqlite runs each anew on each node, where
clock and chance give other values.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from ..errors import BatchError
from ..schema.text import TOKEN, fold, quoted, string, unquoted
from .deeds import NODES_DIFFER

CLOCKS = {
    "current_timestamp": "%Y-%m-%d %H:%M:%S",
    "current_date": "%Y-%m-%d",
    "current_time": "%H:%M:%S",
}
"""SQLite's words for the time, UTC, each with its form."""

DATES = ("date", "time", "datetime", "julianday", "strftime", "unixepoch")
"""The functions that take 'now', and take it where they are given no time."""

CHANCE = ("random", "randomblob")


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def _tokens(sql: str) -> list[_Token]:
    return [
        _Token(str(found.lastgroup), found.group(), *found.span())
        for found in TOKEN.finditer(sql)
        if found.lastgroup != "space"
    ]


def same_everywhere(execute: Callable[..., sqlite3.Cursor], sql: str, now: datetime) -> str:
    """A statement that writes, with the time `now` in place of the clock. `execute` runs statements
    on a copy of the schema. Raises BatchError where a DEFAULT, a trigger or the statement itself
    would still give something else on each node.
    """

    def clocked(table: str) -> list[str]:
        columns = execute("SELECT name, dflt_value FROM pragma_table_xinfo(?)", (table,))
        return [quoted(name) for name, default in columns if fold(str(default)) in CLOCKS]

    text = at_one_time(sql, now, clocked)
    calls = {
        str(what).partition("(")[0]
        for _, code, _, _, _, what, *_ in execute(f"EXPLAIN {text}").fetchall()
        if code in ("Function", "PureFunc")
    }
    for name in (*CHANCE, *CLOCKS):
        if name in calls:
            raise BatchError(NODES_DIFFER.format(f"{name.upper()}, named or as a DEFAULT,"))
    return text


def at_one_time(sql: str, now: datetime, clocked: Callable[[str], Sequence[str]]) -> str:
    """The statement with `now` in place of the clock: where it names it, and as the value of
    columns that an INSERT ... VALUES leaves to a DEFAULT. `clocked` returns the columns of a table
    whose DEFAULT is the time.
    """
    found = _tokens(sql)
    edits = [*_spoken(found, now), *_left_out(found, now, clocked)]
    for start, end, text in sorted(edits, reverse=True):
        sql = sql[:start] + text + sql[end:]
    return sql


Edit = tuple[int, int, str]


def _spoken(found: Sequence[_Token], now: datetime) -> Iterator[Edit]:
    """Replace the words for the time, and 'now' inside a function of dates."""
    calls: list[bool] = []
    before = ""
    for token in found:
        text = fold(token.text)
        if text == "(":
            calls.append(before in DATES)
        elif text == ")" and calls:
            calls.pop()
        elif token.kind == "word" and text in CLOCKS:
            yield token.start, token.end, string(f"{now:{CLOCKS[text]}}")
        elif text == "'now'" and any(calls):
            yield token.start, token.end, string(f"{now:%Y-%m-%d %H:%M:%S.%f}"[:-3])
        before = text if token.kind == "word" else ""


def _left_out(
    found: Sequence[_Token], now: datetime, clocked: Callable[[str], Sequence[str]]
) -> Iterator[Edit]:
    """Add the columns that are left to the clock to INSERT INTO table (columns) VALUES (...)."""
    words = [fold(token.text) for token in found]
    if not words or words[0] not in ("insert", "replace") or "into" not in words[:5]:
        return
    place = words.index("into") + 1
    if place + 1 < len(words) and words[place + 1] == ".":
        place += 2
    if place + 1 >= len(words) or words[place + 1] != "(":
        return
    closing = _closing(words, place + 1)
    if closing is None or words[closing + 1 : closing + 2] != ["values"]:
        return
    named = {fold(unquoted(token.text)) for token in found[place + 2 : closing]}
    missing = [one for one in clocked(unquoted(found[place].text)) if fold(one) not in named]
    if not missing:
        return
    yield _before(found[closing], "".join(f", {name}" for name in missing))
    value = string(f"{now:{CLOCKS['current_timestamp']}}")
    opening = closing + 2
    while words[opening : opening + 1] == ["("]:
        end = _closing(words, opening)
        if end is None:
            return
        yield _before(found[end], f", {value}" * len(missing))
        opening = end + 2 if words[end + 1 : end + 2] == [","] else end + 1


def _before(token: _Token, text: str) -> Edit:
    return token.start, token.start, text


def _closing(words: Sequence[str], opening: int) -> int | None:
    depth = 0
    for place in range(opening, len(words)):
        depth += (words[place] == "(") - (words[place] == ")")
        if depth == 0:
            return place
    return None
