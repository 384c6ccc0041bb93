"""The schema after statements that have not run yet: they run on an empty copy in memory."""

import sqlite3
from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from typing import TypeVar

from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.scratch import copy_of
from ..schema.stand_ins import Lacking
from ..schema.text import fold, tokens
from .statement import Statement

T = TypeVar("T")


def after(live: Schema, statements: Sequence[Statement]) -> Schema:
    """The schema after `statements`, which run on an empty copy of `live` in memory.

    What cannot be created there, because it needs a function, collation or module of the
    application, keeps its form, or is dropped.
    """
    if not statements:
        return live
    copy, apart = copy_of(live)
    with closing(copy):
        for statement in statements:
            if found := _names_lacking(copy.lacks, statement):
                raise sqlite3.OperationalError(f"no such {found.kind}: {found.name}")
            drops = {fold(name) for made, name in statement.made if made == "indexes_dropped"}
            if not statement.only_rows and not drops & apart:
                copy.execute(statement.sql)
            apart -= drops
        made = read_schema(copy)
    return made._replace(
        tables=_with(made.tables, live.tables, apart),
        indexes=_with(made.indexes, live.indexes, apart),
        views=_with(made.views, live.views, apart),
        triggers=_with(made.triggers, live.triggers, apart),
        statistics=live.statistics,
    )


def _names_lacking(lacks: Set[Lacking], statement: Statement) -> Lacking | None:
    """What a statement needs that only the application has; it fails only in the copy."""
    if not lacks:
        return None
    words = {token.text for token in tokens(statement.sql) if token.kind in ("word", "quoted")}
    return next((one for one in sorted(lacks) if fold(one.name) in words), None)


def _with(made: Mapping[str, T], live: Mapping[str, T], apart: Set[str]) -> Mapping[str, T]:
    return {**{name: thing for name, thing in live.items() if name in apart}, **made}
