"""Plan what older databases need first: the files of `sql/upgrades/`."""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from ..declared.declaration import Declared
from ..declared.upgrades import Upgrade
from ..errors import UpgradeError
from ..schema.difference import kind_of
from ..schema.model import Index, Schema, Trigger, View
from ..schema.text import quoted, tokens, without_attached_name
from .made_again import again, passing_over
from .outcome import after
from .statement import Statement

_ALTERS = re.compile(r"\s*(ALTER|CREATE)\b", re.IGNORECASE)


def plan_upgrades(declared: Declared, live: Schema, step: str) -> Iterator[Statement]:
    """The statements of the upgrades of `step` that apply to `live`, in order. Raises UpgradeError
    when one cannot be applied.
    """
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
    can parse every view, trigger and index. A view or trigger that it cannot parse, and that does
    not mention what is renamed, is dropped and recreated around it; over such an index, which may
    need a collation of the application, it passes. A trigger that does mention it, and cannot be
    parsed only because it names an attached database, loses that name.
    """
    names = {part for name in (*upgrade.has, *upgrade.lacks) for part in name.split(".")[1:]}
    tried: list[View | Trigger | Index] = []
    apart: list[View | Trigger] = []
    indexes: list[Index] = []
    renamed: list[Statement] = []
    while True:
        before = [*renamed, *_dropped(apart)]
        recreated = [*_recreated(live, apart)]
        every = [*before, *passing_over(indexes, statements), *recreated]
        try:
            # Without these indexes: what SQLite passes over, it does not rename anything in either.
            after(live, [*before, *_dropped(indexes), *statements, *recreated])
            return every, after(live, every)
        except sqlite3.Error as error:
            found = _in_the_way(live, str(error))
            is_related = found and names & {token.text for token in tokens(found.sql)}
            without_name = _without_attached_name(live, found) if is_related else []
            if not found or found in tried or (is_related and not without_name):
                raise UpgradeError(f"{upgrade.path} cannot be applied: {error}") from error
            tried.append(found)
            renamed += without_name
            if isinstance(found, Index):
                indexes.append(found)
            elif not without_name:
                apart.append(found)


def _without_attached_name(live: Schema, found: object) -> list[Statement]:
    if not isinstance(found, Trigger):
        return []
    text = without_attached_name(found.sql)
    if text == found.sql:
        return []
    from .by_text import by_text  # hardly a trigger needs it

    reason = "the name of an attached database blocks the renaming, and means nothing here"
    return [*by_text(live, "trigger", found.name, text, Statement("", reason))]


def _dropped(apart: Sequence[View | Trigger | Index]) -> Iterator[Statement]:
    for one in apart:
        reason = f"{one.name} cannot be parsed, and blocks the renaming"
        yield Statement(f"DROP {kind_of(one).upper()} {quoted(one.name)};", reason)


def _recreated(live: Schema, apart: Sequence[View | Trigger]) -> Iterator[Statement]:
    views = [one for one in apart if isinstance(one, View)]
    lost = [trigger for view in views for trigger in live.triggers_on(view.name)]
    for one in dict.fromkeys([*views, *lost, *apart]):
        yield from again(live, one)


def _in_the_way(live: Schema, error: str) -> View | Trigger | Index | None:
    """The view, trigger or index that SQLite cannot parse."""
    kinds: tuple[Iterable[View | Trigger | Index], ...] = (
        *(live.views.values(), live.triggers.values(), live.indexes.values()),
    )
    for one in sorted(chain.from_iterable(kinds), key=lambda thing: -len(thing.name)):
        if error.startswith(f"error in {kind_of(one)} {one.name}"):
            return one
    return None
