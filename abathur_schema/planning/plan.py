"""Plan a step: from the differences to the cheapest statements that remove them."""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple, TypeVar

from ..declared.declaration import SCHEMA_STEPS, Declared, Setting
from ..declared.upgrades import Upgrade
from ..errors import ApplicationNeededError, CannotReconcileError, StepError, UpgradeError
from ..schema.difference import Difference, Missing, OtherIndex, OtherTable, differences, kind_of
from ..schema.model import Schema, Trigger, View
from ..schema.reading import read_schema
from ..schema.scratch import copy_of
from ..schema.stand_ins import Lacking, lacking
from ..schema.text import ended, fold, quoted, tokens
from ..schema.undeclared import repeated
from .statement import Statement

T = TypeVar("T")

NOTHING = Schema({}, {}, {}, {})

# A step is one transaction: all of it happens, or nothing.
BEGIN = Statement("BEGIN IMMEDIATE;", "")
COMMIT = Statement("COMMIT;", "")
ROLL_BACK = Statement("ROLLBACK;", "")
ENFORCED = Statement("PRAGMA foreign_keys = ON;", "")
NOT_ENFORCED = Statement(
    "PRAGMA foreign_keys = OFF;", "or DROP TABLE would delete the rows first, with their children"
)

_ALTERS = re.compile(r"\s*(ALTER|CREATE)\b", re.IGNORECASE)


def plan(declared: Declared, live: Schema, step: str) -> list[Statement]:
    """The statements by which `step` gives `live` its declared form; empty if it has it already.

    Raises StepError when none could do so without losing something.
    """
    upgrades = list(_upgrade(declared, live, step))
    if upgrades:
        live = after(live, upgrades)
    found = differences(declared.schema, live, declared.objects(step))
    blocked = [str(one) for one in found if not isinstance(one, Missing | OtherIndex | OtherTable)]
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
    for step in SCHEMA_STEPS:
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
        if any(token.text == fold(found.name) for token in tokens(one.sql))
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
    return replace(
        made,
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


def problems(declared: Declared, live: Schema, step: str) -> list[str]:
    """What still differs in the objects of `step`, one line each."""
    return [str(one) for one in differences(declared.schema, live, declared.objects(step))]


def _upgrade(declared: Declared, live: Schema, step: str) -> Iterator[Statement]:
    for upgrade in declared.upgrades:
        if upgrade.step == step and upgrade.applies(live):
            reason = f"{upgrade.name} (sql/upgrades/{upgrade.path.name})"
            statements = [
                Statement(sql, reason, rewrites=not _ALTERS.match(sql))
                for sql in upgrade.statements
            ]
            statements[-1] = statements[-1]._replace(made=(("upgrades_run", upgrade.path.name),))
            statements, live = _applied(live, upgrade, statements)
            if upgrade.applies(live):
                raise UpgradeError(f"{upgrade.path} would apply again after it ran")
            yield from statements


def _applied(
    live: Schema, upgrade: Upgrade, statements: Sequence[Statement]
) -> tuple[list[Statement], Schema]:
    """The statements of an upgrade, and the schema after them. SQLite renames something only if it
    can parse every view and trigger: one that it cannot parse, and that does not mention what is
    renamed, is dropped and recreated around it.
    """
    names = {part for name in (*upgrade.has, *upgrade.lacks) for part in name.split(".")[1:]}
    before: list[Statement] = []
    again: list[Statement] = []
    while True:
        every = [*before, *statements, *reversed(again)]
        try:
            return every, after(live, every)
        except sqlite3.Error as error:
            found = _in_the_way(live, str(error))
            is_related = found and names & {token.text for token in tokens(found.sql)}
            if not found or is_related or any(found.name in one.reason for one in before):
                raise UpgradeError(f"{upgrade.path} cannot be applied: {error}") from error
            kind = "VIEW" if isinstance(found, View) else "TRIGGER"
            reason = f"{found.name} cannot be parsed, and blocks the renaming"
            before.append(Statement(f"DROP {kind} {quoted(found.name)};", reason))
            again += (
                Statement(ended(one.sql), f"trigger {one.name} was there")
                for one in live.triggers.values()
                if isinstance(found, View) and fold(one.table) == fold(found.name)
            )
            again.append(Statement(ended(found.sql), f"{found.name} was there"))


def _in_the_way(live: Schema, error: str) -> View | Trigger | None:
    """The view or trigger that SQLite cannot parse."""
    things: list[View | Trigger] = [*live.views.values(), *live.triggers.values()]
    for one in sorted(things, key=lambda thing: -len(thing.name)):
        kind = "view" if isinstance(one, View) else "trigger"
        if error.startswith(f"error in {kind} {one.name}"):
            return one
    return None


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
        if (home := declared.step_of(name)) != step:
            reason += f"; it is declared in {home}, but tables of {step} reference it"
        made = "tables_created" if kind == "table" else "indexes_created"
        table = "" if kind == "table" else declared.schema.indexes[fold(name)].table
        sql = declared.creates[fold(name)]
        yield Statement(sql, reason, ((made, name),), table=table)


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
    """Drop the indexes of others that duplicate those of `step`, if an older application made them,
    when the step first creates its own. Only then: an application may recreate them at each start,
    and each `init` would drop them again.
    """
    if _is_of_older_application(declared, live, step):
        tables = declared.steps.get(step.removesuffix("-indexes"), ())
        found = repeated(declared.schema, live, declared.steps[step], tables)
        for one in sorted(found, key=lambda one: one.index.name):
            yield _drop(one.index.name, str(one))


def _drop(index: str, reason: str) -> Statement:
    return Statement(f"DROP INDEX {quoted(index)};", reason, (("indexes_dropped", index),))


def needed_first(declared: Declared, live: Schema, step: str) -> str | None:
    """The step that must run before `step`, or None: the one that declares the missing table of one
    of its indexes.
    """
    for name in declared.steps[step]:
        index = declared.schema.indexes.get(name)
        if index and fold(index.table) not in live.tables:
            return declared.step_of(index.table)
    return None


def setting_statement(setting: Setting, value: str) -> Statement:
    """The statement that changes a setting from `value` to what is declared."""
    change = f"{setting.name} {value} -> {setting.value}"
    return Statement(setting.statement, change, (("settings_changed", change),))
