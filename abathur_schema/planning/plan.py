"""Plan a step: from the differences to the cheapest statements that remove them."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..declared.declaration import Declared, Setting
from ..errors import ApplicationNeededError, CannotReconcileError, StepError
from ..schema.difference import (
    Difference,
    Missing,
    NameTaken,
    Object,
    OtherIndex,
    OtherTable,
    OtherText,
    differences,
    kind_of,
)
from ..schema.model import Index, Schema, Trigger
from ..schema.stand_ins import lacking, needs
from ..schema.text import fold, quoted, tokens
from ..schema.undeclared import repeated
from .made_again import triggers_again
from .outcome import after
from .statement import Statement
from .upgrade_plan import plan_upgrades

NOTHING = Schema({}, {}, {}, {})

# A step is one transaction: all of it happens, or nothing.
BEGIN = Statement("BEGIN IMMEDIATE;", "")
COMMIT = Statement("COMMIT;", "")
ROLL_BACK = Statement("ROLLBACK;", "")
ENFORCED = Statement("PRAGMA foreign_keys = ON;", "")
NOT_ENFORCED = Statement(
    "PRAGMA foreign_keys = OFF;", "or DROP TABLE would delete the rows first, with their children"
)


def plan(declared: Declared, live: Schema, step: str) -> list[Statement]:
    """The statements by which `step` gives `live` its declared form; empty if it has it already.

    Raises StepError when none could do so without losing something.
    """
    upgrades = list(plan_upgrades(declared, live, step))
    if upgrades:
        live = after(live, upgrades)
    found = differences(declared.schema, live, declared.objects(step))
    # A view or trigger in another form is ours, and made anew, only where the step has run.
    is_new = len(found) == len(declared.objects(step))
    taken = NameTaken | OtherText if is_new else NameTaken
    blocked = [str(one) for one in found if isinstance(one, taken)]
    blocked += [
        f"{one}; UNIQUE is a constraint of its application: recreate it under another name"
        for one in found
        if isinstance(one, OtherIndex) and one.refuses_rows
    ]
    if blocked:
        raise CannotReconcileError(step, blocked)
    return [
        *upgrades,
        *_statements(declared, live, step, found),
        *_drop_repeated(declared, live, step),
    ]


class StepPlan(NamedTuple):
    """What one step would run on the schema `live`; `blocked` says why it cannot, if so."""

    step: str
    statements: Sequence[Statement]
    blocked: StepError | None = None
    live: Schema = NOTHING


def plan_all(declared: Declared, live: Schema) -> Iterator[StepPlan]:
    """The plans of all steps, each based on the outcome of the steps before it."""
    for step in declared.steps:
        try:
            statements = plan(declared, live, step)
        except StepError as error:
            yield StepPlan(step, (), error, live)
            return
        try:
            left = after(live, statements)
        except sqlite3.Error as error:
            # What fails here would fail in the database as well.
            yield StepPlan(step, statements, as_step_error(live, error), live)
            return
        yield StepPlan(step, statements, None, live)
        live = left


def as_step_error(live: Schema, error: sqlite3.Error) -> StepError:
    """The error of SQLite; where it lacks something of the application's, with who needs it."""
    if not (found := lacking(error)):
        return StepError(f"in an empty copy, {error}")
    kinds = (("table", live.tables), ("index", live.indexes), ("trigger", live.triggers))
    needed = [
        f"{kind} {one.name}"
        for kind, things in kinds
        for one in things.values()
        if needs(one.sql, found)
    ]
    by = f", which {', '.join(needed)} needs" if needed else ""
    return ApplicationNeededError(f"{error}{by}")


def framed(statements: Sequence[Statement]) -> tuple[list[Statement], list[Statement]]:
    """The statements before and after those of a step that make a transaction of them."""
    if is_rebuild(statements):
        return [NOT_ENFORCED, BEGIN], [COMMIT, ENFORCED]
    return [BEGIN], [COMMIT]


def is_rebuild(statements: Sequence[Statement]) -> bool:
    """Whether the statements rebuild a table."""
    return any(made == "tables_rebuilt" for one in statements for made, _ in one.made)


def changes_text(statements: Sequence[Statement]) -> bool:
    """Whether the statements edit the schema's text."""
    return any(one.sql.startswith("PRAGMA writable_schema") for one in statements)


def problems(declared: Declared, live: Schema, step: str) -> list[str]:
    """What still differs in the objects of `step`, one line each."""
    return [str(one) for one in differences(declared.schema, live, declared.objects(step))]


MADE = {
    "table": "tables_created",
    "virtual table": "tables_created",
    "index": "indexes_created",
    "view": "views_created",
    "trigger": "triggers_created",
}
"""The deliverable of each kind of object."""


def _statements(
    declared: Declared, live: Schema, step: str, found: Sequence[Difference]
) -> Iterator[Statement]:
    changed: Mapping[str, list[Statement]] = {}
    if others := [one for one in found if isinstance(one, OtherTable)]:
        from .table_plan import change_tables  # only older databases pay for this import

        changed = change_tables(declared, live, step, others)
    for difference in found:
        kind, name = kind_of(difference.declared), difference.declared.name
        reason = str(difference)
        if isinstance(difference, OtherTable):
            yield from changed[name]
            continue
        if isinstance(difference, OtherIndex):
            yield _drop(difference.live.name, reason)
        if isinstance(difference, OtherText):
            yield Statement(f"DROP {kind.upper()} {quoted(difference.live.name)};", reason)
        if (home := declared.step_of(name)) != step:
            reason += f"; it is declared in {home}, but tables of {step} reference it"
        table = declared.schema.indexes[fold(name)].table if kind == "index" else ""
        sql = declared.creates[fold(name)]
        yield Statement(sql, reason, ((MADE[kind], name),), table=table)
        if isinstance(difference, OtherText) and kind == "view":
            yield from triggers_again(live, difference.live.name)
    yield from _contents(declared, live, step, found)


def _contents(
    declared: Declared, live: Schema, step: str, found: Sequence[Difference]
) -> Iterator[Statement]:
    """Fill the virtual tables of `step` that are new, or whose triggers were missing."""
    missing = [one.declared for one in found if isinstance(one, Missing | OtherText)]
    for name in declared.steps[step]:
        if sql := declared.contents.get(name):
            is_new = name not in live.tables
            if not is_new and any(_mentions(one, name) for one in missing):
                reason = f"what kept virtual table {name} right was missing: it is filled again"
                yield Statement(f"DELETE FROM {quoted(name)};", reason, only_rows=True)
            elif not is_new:
                continue
            else:
                reason = f"virtual table {name} is filled with what exists"
            yield Statement(sql, reason, only_rows=True)


def _mentions(thing: Object, name: str) -> bool:
    return isinstance(thing, Trigger) and any(one.text == name for one in tokens(thing.sql))


def _is_of_older_application(declared: Declared, live: Schema, step: str) -> bool:
    """Whether `step` has no index yet on a reference to a table of a later step, a column that
    older applications do not have.
    """
    schema = declared.schema
    newer = [
        name
        for name in declared.steps[step]
        if (index := schema.indexes.get(name))
        for key in schema.tables[fold(index.table)].foreign_keys
        if fold(key.columns[0]) == fold(index.columns[0].name)
        and declared.step_of(key.other_table) != declared.step_of(index.table)
    ]
    return bool(newer) and not any(name in live.indexes for name in newer)


def _drop_repeated(declared: Declared, live: Schema, step: str) -> Iterator[Statement]:
    """Drop the indexes that older applications made and that duplicate those of `step`, or a key,
    when the step first creates its own. Only then: an application may recreate them at each start,
    and each `init` would drop them again.
    """
    if _is_of_older_application(declared, live, step):
        tables = declared.steps.get(step.removesuffix("-indexes"), ())
        found = repeated(declared.schema, live, declared.steps[step], tables)
        for one in sorted(found, key=lambda one: one.index.name):
            if fold(one.index.name) in declared.former_indexes:
                yield _drop(one.index.name, str(one))


def _drop(index: str, reason: str) -> Statement:
    return Statement(f"DROP INDEX {quoted(index)};", reason, (("indexes_dropped", index),))


def needed_first(declared: Declared, live: Schema, step: str) -> str | None:
    """The step that must run before `step`, or None: the one that declares the table of one of its
    indexes or triggers, where `live` lacks that table, or a column that the index names.
    """
    makes = declared.objects(step)
    for name in declared.steps[step]:
        schema = declared.schema
        on = schema.indexes.get(name) or schema.triggers.get(name)
        if on and fold(on.table) not in makes and _lacks(declared, live, on):
            return declared.step_of(on.table)
    return None


def _lacks(declared: Declared, live: Schema, on: Index | Trigger) -> bool:
    name = fold(on.table)
    if not (table := live.tables.get(name)):
        return name not in live.views
    missing = declared.schema.tables[name].column.keys() - table.column.keys()
    named = missing and {token.text for token in tokens(on.sql)}  # most tables lack nothing
    return isinstance(on, Index) and bool(missing & named)


def setting_statement(setting: Setting, value: str) -> Statement:
    """The statement that changes a setting from `value` to what is declared."""
    change = f"{setting.name} {value} -> {setting.value}"
    return Statement(setting.statement, change, (("settings_changed", change),))
