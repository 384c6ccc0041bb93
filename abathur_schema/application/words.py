"""Search by words: what a user types as an FTS5 expression, and rankings merged into one."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ..errors import UsageError
from .queries import query
from .records import Document, Memory, check_namespace, record

T = TypeVar("T", Memory, Document)

MOST_OF_ANY = 256
"""How many different words are searched for if any will do; the rest is left out. Ranking takes
1 s where 5,000 rows have all of these, 11 s for 1,000 words.
"""

MOST_OF_ALL = 10_000
"""How many different words may be asked for together: reading the expression is quadratic."""

FUSION = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009)."""

NOT_MADE = (
    "this database has no full-text search. Make it by `invoke search`, or initialize it by"
    " Database(path, search=True)"
)


class Hit(NamedTuple):
    """A memory or document that was found. A larger `score` is better; it compares hits of one
    search only. `snippet` is the part of the text around the words, which are [in brackets]; empty
    if only the embedding found it.
    """

    found: Memory | Document
    score: float
    snippet: str


def match_expression(text: str, match: str = "all", namespace: str | None = None) -> str:
    """The FTS5 expression for a text that a user typed; empty if it has no words. With a
    `namespace` it is for memories only, and finds those in it and below it.

    Raises UsageError when the arguments are wrong.
    """
    if not isinstance(text, str):
        raise UsageError(f"the text to search for is {text!r}. Give a str.")
    if match not in ("all", "any"):
        raise UsageError(f"match is {match!r}. Give 'all' or 'any'.")
    legal = text.encode("utf-8", "replace").decode().replace("\0", " ")
    words = [*dict.fromkeys(legal.split())]
    if match == "any":
        words = words[:MOST_OF_ANY]
    elif len(words) > MOST_OF_ALL:
        raise UsageError(
            f"the text has {len(words)} different words, and all of at most {MOST_OF_ALL} can be"
            " asked for. Shorten it, or ask for any of them: match='any'."
        )
    if namespace is not None:
        check_namespace(namespace)
    if not words:
        return ""
    joined = (" OR " if match == "any" else " ").join(map(_quoted, words))
    if namespace is None:
        return joined
    path = "".join(f"x{part.encode().hex()}" for part in namespace.split(":"))  # of `memory_texts`
    return f"({joined}) AND paths : {_quoted(path)}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def with_words(
    connection: sqlite3.Connection, kind: type[T], values: Mapping[str, Any]
) -> list[tuple[T, str]]:
    """The records of a kind with words, best first, each with its snippet."""
    name = f"{'memories' if kind is Memory else 'documents'}-with-words"
    try:
        rows = query(name).execute(connection, **values).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or "no such module" in str(error):
            raise UsageError(f"{NOT_MADE} ({error}).") from error
        raise
    return [(record(kind, row), row["snippet"] or "") for row in rows]


def fused(
    memories: Sequence[tuple[Memory, str]],
    documents: Sequence[tuple[Document, str]],
    near: Sequence[Document],
) -> list[Hit]:
    """Rankings merged by reciprocal rank fusion: a document in two of them gets both scores."""
    hits: dict[tuple[type, int], Hit] = {}
    rankings: tuple[Sequence[tuple[Memory | Document, str]], ...] = (
        *(memories, documents, [(document, "") for document in near]),
    )
    for ranking in rankings:
        for rank, (found, snippet) in enumerate(ranking, 1):
            name = type(found), found.id
            before = hits.get(name, Hit(found, 0.0, snippet))
            # The later ranking is the one by embedding: its record has the distance.
            hits[name] = Hit(found, before.score + 1 / (FUSION + rank), before.snippet)
    return sorted(hits.values(), key=lambda hit: -hit.score)
