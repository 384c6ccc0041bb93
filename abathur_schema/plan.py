"""From the difference to the statements that remove it: the cheapest that are sufficient."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .declared import Declared
from .difference import Difference, Missing, OtherIndex, differences, kind_of
from .errors import CannotReconcileError
from .schema import Schema, fold
from .sql_text import quoted


class Statement(NamedTuple):
    """One statement to run, and why.

    `deliverable` is the list of the report's `deliverables` to which `name` belongs once the
    statement is committed; empty when it makes no object.
    """

    sql: str
    reason: str
    deliverable: str = ""
    name: str = ""


def plan(declared: Declared, live: Schema, step: str) -> list[Statement]:
    """The statements by which `step` brings `live` to the declared form; none when it is there.

    Raises StepError when no statement of ours can do it and keep what is there.
    """
    found = differences(declared.schema, live, declared.objects(step))
    blocked = [str(one) for one in found if not isinstance(one, Missing | OtherIndex)]
    if blocked:
        raise CannotReconcileError(step, blocked)
    return list(_statements(declared, step, found))


def problems(declared: Declared, live: Schema, step: str) -> list[str]:
    """What still differs in what `step` makes, a line each."""
    return [str(one) for one in differences(declared.schema, live, declared.objects(step))]


def _statements(declared: Declared, step: str, found: Sequence[Difference]) -> Iterator[Statement]:
    for difference in found:
        kind, name = kind_of(difference.declared), difference.declared.name
        reason = str(difference)
        if isinstance(difference, OtherIndex):
            drop = f"DROP INDEX {quoted(difference.live.name)};"
            yield Statement(drop, reason, "indexes_dropped", difference.live.name)
        if (home := declared.step_of(name)) != step:
            reason += f"; it is declared in {home}, but tables of {step} reference it"
        deliverable = "tables_created" if kind == "table" else "indexes_created"
        yield Statement(declared.creates[fold(name)], reason, deliverable, name)


def needed_first(declared: Declared, live: Schema, step: str) -> str | None:
    """The step that must run before `step` can, or None: the one that declares the table of an
    index of `step` that is not there.
    """
    for name in declared.steps[step]:
        index = declared.schema.indexes.get(name)
        if index and fold(index.table) not in live.tables:
            return declared.step_of(index.table)
    return None
