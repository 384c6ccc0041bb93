"""Statements that do the same on every node of a cluster: rqlite runs each anew on each node, where
clock and chance give other values.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

DATES = ("date", "time", "datetime", "julianday", "strftime", "unixepoch", "timediff")
"""The functions that take 'now', and take it where they are given no time."""

CHANCE = ("random", "randomblob")

OF_THE_MACHINE = ("'localtime'", "'utc'")
"""The modifiers of dates that ask a node for its time zone."""


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


Execute = Callable[..., sqlite3.Cursor]
"""Runs a statement on a copy of the schema."""


def same_everywhere(execute: Execute, sql: str, now: datetime) -> str:
    """A statement with the time `now` in place of the clock. Raises BatchError where a DEFAULT, a
    trigger, a view or the statement itself would still give something else on each node.
    """

    def clocked(table: str) -> dict[str, str]:
        columns = execute("SELECT name, dflt_value FROM pragma_table_xinfo(?)", (table,))
        values = {name: _timed(str(default), now) for name, default in columns.fetchall()}
        return {name: value for name, value in values.items() if value}

    text = at_one_time(sql, now, clocked)
    refuse_unequal(execute, text)
    return text


def refuse_unequal(execute: Execute, sql: str) -> None:
    """Raise BatchError for a statement that asks clock or chance, whatever it does that by."""
    program = execute(f"EXPLAIN {sql}").fetchall()
    # The registers that 'now' is in: strftime() takes it second.
    now = {
        register
        for _, code, _, register, _, what, *_ in program
        if code == "String8" and fold(str(what)) == "now"
    }
    for _, code, _, first, _, what, *_ in program:
        if code in ("Function", "PureFunc"):
            name = fold(str(what)).partition("(")[0]
            asks_clock = name in DATES and (first == 0 or {first, first + 1} & now)
            if asks_clock or name in (*CHANCE, *CLOCKS):
                raise BatchError(NODES_DIFFER.format(f"{name.upper()}, named or as a DEFAULT,"))


def at_one_time(
    sql: str, now: datetime, clocked: Callable[[str], Mapping[str, str]] = lambda _: {}
) -> str:
    """The statement with `now` in place of the clock: where it names it, and as the value of
    columns that an INSERT ... VALUES leaves to a DEFAULT. `clocked` returns the columns of a table
    whose DEFAULT is the time, each with what that is now.
    """
    found = _tokens(sql)
    return _edited(sql, [*_spoken(found, now), *_left_out(found, clocked)])


def _timed(default: str, now: datetime) -> str:
    """What a DEFAULT is now, if it asks the clock, or empty."""
    timed = _edited(default, _spoken(_tokens(default), now))
    return "" if timed == default else f"({timed})"


Edit = tuple[int, int, str]


def _edited(sql: str, edits: Iterable[Edit]) -> str:
    for start, end, text in sorted(edits, reverse=True):
        sql = sql[:start] + text + sql[end:]
    return sql


def _spoken(found: Sequence[_Token], now: datetime) -> Iterator[Edit]:
    """Replace the words for the time, and 'now' inside a function of dates."""
    moment = string(f"{now:%Y-%m-%d %H:%M:%S.%f}"[:-3])
    calls: list[tuple[str, int]] = []  # the functions that are open, each with its arguments so far
    before = ""
    for place, token in enumerate(found):
        text = fold(token.text)
        in_dates = any(name for name, _ in calls)
        if text == "(":
            is_empty = found[place + 1 : place + 2] and found[place + 1].text == ")"
            calls.append((before if before in DATES else "", 0 if is_empty else 1))
        elif text == "," and calls:
            calls[-1] = (calls[-1][0], calls[-1][1] + 1)
        elif text == ")" and calls:
            name, number = calls.pop()
            if name and number < (2 if name == "strftime" else 1):
                yield _before(token, f", {moment}" if number else moment)
        elif token.kind == "word" and text in CLOCKS:
            yield token.start, token.end, string(f"{now:{CLOCKS[text]}}")
        elif in_dates and text in ("'now'", '"now"'):  # to SQLite, both are the string
            yield token.start, token.end, moment
        elif in_dates and text in OF_THE_MACHINE:
            raise BatchError(NODES_DIFFER.format(text))
        before = text if token.kind == "word" else ""


def _left_out(
    found: Sequence[_Token], clocked: Callable[[str], Mapping[str, str]]
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
    times = clocked(unquoted(found[place].text)).items()
    missing = {name: value for name, value in times if fold(name) not in named}
    if not missing:
        return
    yield _before(found[closing], "".join(f", {quoted(name)}" for name in missing))
    opening = closing + 2
    while words[opening : opening + 1] == ["("]:
        end = _closing(words, opening)
        if end is None:
            return
        yield _before(found[end], "".join(f", {value}" for value in missing.values()))
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
