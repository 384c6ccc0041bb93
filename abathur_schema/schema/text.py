"""SQL as text: split a file into statements, and bring an expression to one normal form.

SQLite tells the structure of tables and indexes by pragmas, but a CHECK and the WHERE of a partial
index only as text. Two such texts are compared in normal form: without white space, comments,
needless quotes and outer parentheses, and with the letter case that SQLite ignores.
"""

import re
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from sqlite_utils.db import fold_identifier_case

from ..errors import UsageError


def fold(name: str) -> str:
    """A name in the one letter case by which SQLite finds it (ASCII letters only)."""
    return name.lower() if name.isascii() else fold_identifier_case(name)


LETTER = r"[^\x00-\#%-/:-@\[-^`{-\x7f]"
"""What a word is made of: `A-Z a-z 0-9 _ $`, and to SQLite every byte from 0x80 on is a letter,
whatever it stands for (`sqlite3CtypeMap` in its source); white space is that of ASCII. Said by what
is no letter, because to compile a range of a million characters takes Python longer than all else
here.
"""

SPACE = " \t\n\f\r"

TOKEN = re.compile(
    rf"""
      (?P<space>   [ \t\n\f\r]+ | --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<literal> [xX]?'(?:[^']|'')*' )
    | (?P<quoted>  "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] )
    | (?P<word>    {LETTER}+(?:\.[0-9]+)? )
    | (?P<sign>    <= | >= | <> | != | == | << | >> | \|\| | -> | . )
    """,
    re.VERBOSE | re.DOTALL,
)

_NAME = re.compile(rf"(?![0-9$]){LETTER}+")
"""A name that needs no quotes."""

_SEMICOLON = re.compile(r";(?=(?P<comment>[ \t]*--[^\n]*)?)")

# A quoted one of these is a name or a string, unquoted it means something else.
_MEANINGFUL_WORDS = {
    *("null", "true", "false", "not", "is", "in", "and", "or", "like", "glob", "between"),
    *("current_timestamp", "current_date", "current_time", "case", "when", "then", "else", "end"),
}

# No DEFAULT is NULL, and the truth is a number.
_VALUES = {"null": "", "true": "1", "false": "0"}


class Token(NamedTuple):
    """`kind` is literal, quoted, word or sign; `text` is in normal form."""

    kind: str
    text: str


@lru_cache(maxsize=1024)
def tokens(sql: str) -> tuple[Token, ...]:
    """The tokens of `sql` without white space and comments.

    Cached because a live object is usually the very text of the declared one.
    """
    found = []
    for match in TOKEN.finditer(sql):
        kind, text = str(match.lastgroup), match.group()
        if kind == "quoted":
            quote = text[-1]
            name = fold(text[1:-1].replace(quote * 2, quote))
            text = f'"{name}"' if name in _MEANINGFUL_WORDS or not _NAME.fullmatch(name) else name
        elif kind == "word":
            text = fold(text)
        if kind != "space":
            found.append(Token(kind, text))
    return tuple(found)


def normal(expression: str | None) -> str:
    """The normal form of an expression; empty for None."""
    return _joined(tokens(expression or ""))


def unquoted(text: str) -> str:
    """What SQLite reads where it expects one name: of a text that begins with a quote, that name
    alone (`sqlite3Dequote` in its source).
    """
    text = text.strip(SPACE)
    if text[:1] in ('"', "`", "[", "'") and (found := TOKEN.match(text)):
        quote = found.group()[-1]
        return found.group()[1:-1].replace(quote * 2, quote)
    return text


@lru_cache(maxsize=1024)
def literal(default: str | None) -> str:
    """The normal form of a DEFAULT; there SQLite takes a name, quoted or not, for a string."""
    text = (default or "").strip(SPACE)
    if (value := _VALUES.get(text.lower())) is not None:
        return value
    is_quoted = text[:1] in ('"', "`", "[") and len(tokens(text)) == 1
    if is_quoted or (_NAME.fullmatch(text) and text.lower() not in _MEANINGFUL_WORDS):
        return string(unquoted(text))
    return normal(text)


def where_of_index(sql: str) -> str:
    """The normal form of the WHERE of a CREATE INDEX statement; empty without one.

    `sqlite_schema.sql` is the only place where SQLite tells it.
    """
    if "where" not in sql.lower():  # which is seen faster
        return ""
    found = tokens(sql)
    depth = 0
    for position, token in enumerate(found):
        depth += (token == ("sign", "(")) - (token == ("sign", ")"))
        if depth == 0 and token == ("word", "where"):
            return _joined(found[position + 1 :])
    return ""


def statements(sql: str) -> Iterator[str]:
    """The statements of a file, each with the comments before it; what follows on the line of its
    semicolon is left out. Raises ValueError when the last one is not ended by a semicolon.
    """
    start = 0
    for semicolon in _SEMICOLON.finditer(sql):
        end = semicolon.end()
        if sqlite3.complete_statement(sql[start:end]):
            yield sql[start:end].strip()
            start = max(end, semicolon.end("comment"))
    if tokens(sql[start:]):
        raise ValueError(f"no semicolon ends the statement {sql[start:].strip()[:60]!r}")


def comments_before(statement: str) -> list[str]:
    """The text of the `--` lines in front of a statement, one an item."""
    lines = []
    for line in statement.splitlines():
        text = line.strip()
        if text.startswith("--"):
            lines.append(text.lstrip("-").strip())
        elif text:
            break
    return lines


def read(path: Path, without_sql: str = "") -> tuple[str, dict[str, str], tuple[str, ...]]:
    """A file of `checks/` or `sql/upgrades/`: its name, what else is said at its top, and its
    statements; where it says `without_sql`, it may have none. Raises UsageError, with the file,
    when it cannot be read or has not both.
    """
    try:
        text = path.read_text("utf-8")
        found = tuple(statements(text))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Restore it, or mend it.") from error
    name, says = head(text)
    if not name or not (found or without_sql in says):
        raise UsageError(f"{path} needs a comment line with its name at its top, then SQL.")
    return name, says, found


def head(text: str) -> tuple[str, dict[str, str]]:
    """What the comments at the top of a file say: their first line, and those `key: value`."""
    first, *rest = comments_before(text) or [""]
    says = (line.partition(":") for line in rest)
    return first, {key: value.strip() for key, _, value in says}


def parameters(sql: str) -> frozenset[str]:
    """The names of the `:name` parameters of a statement."""
    found = [match.group() for match in TOKEN.finditer(sql) if match.lastgroup != "space"]
    return frozenset(name for sign, name in pairwise(found) if sign == ":")


def no_query(sql: str) -> str:
    """Why `sql` is not one query (SELECT, VALUES, or WITH that ends in one of them), or empty."""
    found = tokens(sql)
    if found and found[-1] == ("sign", ";"):
        found = found[:-1]
    if ("sign", ";") in found:
        return "these are several statements"
    verb = found[0].text if found else "nothing"
    if verb == "with":
        verb = _verb_after_with(found)
    return "" if verb in ("select", "values") else f"{verb.upper()} is no query"


def _verb_after_with(found: tuple[Token, ...]) -> str:
    """What follows the last common table expression: a word after its closing parenthesis."""
    depth, before = 0, Token("sign", "")
    for token in found:
        depth += (token == ("sign", "(")) - (token == ("sign", ")"))
        is_next = depth == 0 and before == ("sign", ")") and token.kind == "word"
        if is_next and token.text != "as":
            return token.text
        before = token
    return "with"


def quoted(name: str) -> str:
    """`name` as an SQL identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def string(text: str) -> str:
    """`text` as an SQL string; where it is no UTF-8, by its bytes."""
    if is_utf8(text):
        return "'" + text.replace("'", "''") + "'"
    return f"CAST(x'{text.encode('utf-8', 'surrogateescape').hex()}' AS TEXT)"


def utf8(text: str) -> str:
    """A text that was read with `surrogateescape`, with a letter in place of each wrong byte."""
    return text if is_utf8(text) else re.sub("[\udc80-\udcff]", "_", text)


def without_comments(sql: str) -> str:
    """What SQLite makes of a statement."""
    return "".join(one.group() for one in TOKEN.finditer(sql) if one.lastgroup != "space")


def ended(sql: str) -> str:
    """The statement with its semicolon, which a comment at its end must not swallow."""
    last = next((one.group() for one in reversed(list(TOKEN.finditer(sql)))), "")
    if last.startswith("/*") and (len(last) < 4 or not last.endswith("*/")):
        return f"{sql} */;"
    return f"{sql}\n;" if last.startswith("--") else f"{sql};"


def is_utf8(text: str) -> bool:
    """Whether a text that was read with `surrogateescape` was UTF-8."""
    return text.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in text)


def _joined(found: tuple[Token, ...]) -> str:
    while _wrapped(found):
        found = found[1:-1]
    return " ".join(token.text for token in found)


def _wrapped(found: tuple[Token, ...]) -> bool:
    """Whether the first token opens a parenthesis that the last one closes."""
    if not found or found[0] != ("sign", "("):
        return False
    depth = 0
    for position, token in enumerate(found):
        depth += (token == ("sign", "(")) - (token == ("sign", ")"))
        if depth == 0:
            return position == len(found) - 1
    return False
