"""SQL as text: split files into statements, and normalize expressions for comparison.

SQLite reports the structure of tables and indexes by pragmas, but a CHECK or the WHERE of a partial
index only as text. Such texts are compared in normal form: without white space, comments, redundant
quotes and outer parentheses, and folded where SQLite ignores case.
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
    """The name in the case by which SQLite looks it up (only ASCII letters fold)."""
    return name.lower() if name.isascii() else fold_identifier_case(name)


LETTER = r"[^\x00-\#%-/:-@\[-^`{-\x7f]"
"""A character of a word: `A-Z a-z 0-9 _ $` and, to SQLite, every byte from 0x80 on
(`sqlite3CtypeMap` in its source); white space is ASCII only. Written as a negated class because
Python takes longer to compile a range of a million characters than for everything else here.
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

# Quoted, one of these is a name or a string; unquoted, it means something else.
_MEANINGFUL_WORDS = {
    *("null", "true", "false", "not", "is", "in", "and", "or", "like", "glob", "between"),
    *("current_timestamp", "current_date", "current_time", "case", "when", "then", "else", "end"),
}

ROWID_NAMES = ("rowid", "_rowid_", "oid")
"""What reads the rowid, where no column has that name."""

# Without DEFAULT it is NULL, and booleans are numbers.
_VALUES = {"null": "", "true": "1", "false": "0"}


class Token(NamedTuple):
    """`kind` is literal, quoted, word or sign; `text` is in normal form."""

    kind: str
    text: str


@lru_cache(maxsize=1024)
def tokens(sql: str) -> tuple[Token, ...]:
    """The tokens of `sql` without white space and comments.

    Cached because the text of a live object is usually that of the declared one.
    """
    return tuple(each_token(sql))


def each_token(sql: str) -> Iterator[Token]:
    """The same one by one, for who needs only the first."""
    for match in TOKEN.finditer(sql):
        kind, text = str(match.lastgroup), match.group()
        if kind == "quoted":
            quote = text[-1]
            name = fold(text[1:-1].replace(quote * 2, quote))
            text = f'"{name}"' if name in _MEANINGFUL_WORDS or not _NAME.fullmatch(name) else name
        elif kind == "word":
            text = fold(text)
        if kind != "space":
            yield Token(kind, text)


def normal(expression: str | None) -> str:
    """The normal form of an expression; empty for None."""
    return _joined(tokens(expression or ""))


def unquoted(text: str) -> str:
    """How SQLite reads text where it expects a name: if it begins with a quote, just the quoted
    name (`sqlite3Dequote` in its source).
    """
    text = text.strip(SPACE)
    if text[:1] in ('"', "`", "[", "'") and (found := TOKEN.match(text)):
        quote = found.group()[-1]
        return found.group()[1:-1].replace(quote * 2, quote)
    return text


@lru_cache(maxsize=1024)
def literal(default: str | None) -> str:
    """The normal form of a DEFAULT, where SQLite takes a name, quoted or not, as a string."""
    text = (default or "").strip(SPACE)
    if (value := _VALUES.get(text.lower())) is not None:
        return value
    is_quoted = text[:1] in ('"', "`", "[") and len(tokens(text)) == 1
    if is_quoted or (_NAME.fullmatch(text) and text.lower() not in _MEANINGFUL_WORDS):
        return string(unquoted(text))
    return normal(text)


def where_of_index(sql: str) -> str:
    """The normal form of the WHERE of a CREATE INDEX statement; empty without one.

    SQLite reports it nowhere but in `sqlite_schema.sql`.
    """
    if "where" not in sql.lower():  # a shortcut
        return ""
    found = tokens(sql)
    depth = 0
    for position, token in enumerate(found):
        depth += (token == ("sign", "(")) - (token == ("sign", ")"))
        if depth == 0 and token == ("word", "where"):
            return _joined(found[position + 1 :])
    return ""


def statements(sql: str) -> Iterator[str]:
    """The statements of a file, each with the comments before it; whatever follows a semicolon on
    its line is dropped. Raises ValueError when the last statement has no semicolon.
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
    """The text of each `--` line before a statement."""
    lines = []
    for line in statement.splitlines():
        text = line.strip()
        if text.startswith("--"):
            lines.append(text.lstrip("-").strip())
        elif text:
            break
    return lines


def bare(statement: str) -> str:
    """The statement without the comments before it."""
    lines = statement.splitlines()
    while lines and (lines[0].lstrip().startswith("--") or not lines[0].strip()):
        lines.pop(0)
    return "\n".join(lines)


def read(path: Path, without_sql: str = "") -> tuple[str, dict[str, str], tuple[str, ...]]:
    """Read a file of `checks/` or `sql/upgrades/`: its title, its `key: value` pairs, and its
    statements, which may be absent if the key `without_sql` is present. Raises UsageError, naming
    the file, when it cannot be read or lacks a title or statements.
    """
    try:
        text = path.read_text("utf-8")
        found = tuple(statements(text))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Restore it, or fix it.") from error
    name, says = head(text)
    if not name or not (found or without_sql in says):
        raise UsageError(f"{path} needs a comment line with its name at its top, then SQL.")
    return name, says, found


def head(text: str) -> tuple[str, dict[str, str]]:
    """The title (first line) and the `key: value` lines of the comments at the top of a file."""
    first, *rest = comments_before(text) or [""]
    says = (line.partition(":") for line in rest)
    return first, {key: value.strip() for key, _, value in says}


def parameters(sql: str) -> frozenset[str]:
    """The names of the `:name` parameters of a statement."""
    found = [match.group() for match in TOKEN.finditer(sql) if match.lastgroup != "space"]
    return frozenset(name for sign, name in pairwise(found) if sign == ":")


def no_query(sql: str) -> str:
    """Why `sql` is not a single query (SELECT, VALUES, or WITH ending in one of them), or empty."""
    found = tokens(sql)
    if found and found[-1] == ("sign", ";"):
        found = found[:-1]
    if ("sign", ";") in found:
        return "these are several statements"
    verb = found[0].text if found else "nothing"
    if verb == "with":
        verb = _verb_after_with(found)
    return "" if verb in ("select", "values") else f"{verb.upper()} is not a query"


def _verb_after_with(found: tuple[Token, ...]) -> str:
    """The word after the last common table expression, that is, after its closing parenthesis."""
    depth, before = 0, Token("sign", "")
    for token in found:
        depth += (token == ("sign", "(")) - (token == ("sign", ")"))
        is_next = depth == 0 and before == ("sign", ")") and token.kind == "word"
        if is_next and token.text != "as":
            return token.text
        before = token
    return "with"


def quoted(name: str) -> str:
    """`name` as an SQL identifier, whatever characters it contains."""
    return '"' + name.replace('"', '""') + '"'


def string(text: str) -> str:
    """`text` as an SQL string literal; given by its bytes if it is not UTF-8."""
    if is_utf8(text):
        return "'" + text.replace("'", "''") + "'"
    return f"CAST(x'{text.encode('utf-8', 'surrogateescape').hex()}' AS TEXT)"


def for_command_line(script: str) -> str:
    """A script as the `sqlite3` command line must read it: it drops a CR that ends a line."""
    return script.replace("\r\n", "\r\r\n")


def utf8(text: str) -> str:
    """Text that was decoded with `surrogateescape`, with a letter in place of each invalid byte."""
    return text if is_utf8(text) else re.sub("[\udc80-\udcff]", "_", text)


def without_comments(sql: str) -> str:
    """The statement as SQLite sees it."""
    return "".join(one.group() for one in TOKEN.finditer(sql) if one.lastgroup != "space")


def without_attached_name(trigger: str) -> str:
    """The text of a trigger without the name under which its database was attached when it was made
    (`ON swarm.tasks`): SQLite reads such a text in a file, but does not run it.
    """
    found = [one for one in TOKEN.finditer(trigger) if one.lastgroup != "space"]
    on = next(n for n, one in enumerate(found) if one.group().lower() == "on")
    if found[on + 2].group() != ".":
        return trigger
    return trigger[: found[on + 1].start()] + trigger[found[on + 3].start() :]


def is_utf8(text: str) -> bool:
    """Whether text that was decoded with `surrogateescape` was valid UTF-8."""
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
