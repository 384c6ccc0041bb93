"""The schema after statements that have not run yet: they run on an empty copy in memory."""

from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from typing import TypeVar

from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.scratch import Scratch, copy_of, scratch
from ..schema.text import fold
from .statement import Statement

T = TypeVar("T")


def after(live: Schema, statements: Sequence[Statement]) -> Schema:
    """The schema after `statements`, which run on an empty copy of `live` in memory.

    What cannot be created there, because it needs a function, collation or module of the
    application, keeps its form, or is dropped.
    """
    if not statements:
        return live
    copy, apart = _alone(*copy_of(live))
    with closing(copy):
        for statement in statements:
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


def _alone(copy: Scratch, apart: set[str]) -> tuple[Scratch, set[str]]:
    """The copy without what stands in for the application: as in the database, a statement that
    needs it fails there.
    """
    if not copy.lacks:
        return copy, apart
    with closing(copy):
        alone = scratch()
        copy.backup(alone)
        alone.lacks = copy.lacks
        return alone, apart


def _with(made: Mapping[str, T], live: Mapping[str, T], apart: Set[str]) -> Mapping[str, T]:
    return {**{name: thing for name, thing in live.items() if name in apart}, **made}
