"""Create again what DROP deletes along with a table or a view."""

from collections.abc import Iterator

from ..schema.difference import kind_of
from ..schema.model import Index, Schema, Trigger, View
from ..schema.text import ended, is_utf8, utf8, without_attached_name
from .statement import Statement


def triggers_again(live: Schema, of: str) -> Iterator[Statement]:
    """The statements that recreate the triggers of the table or view `of`."""
    for trigger in live.triggers_on(of):
        yield from again(live, trigger)


def again(live: Schema, thing: Index | View | Trigger, table: str = "") -> Iterator[Statement]:
    """The statements that recreate one thing, byte for byte; `table` is the one that it scans."""
    kind = kind_of(thing)
    said = utf8(thing.sql)
    if kind == "trigger":
        said = without_attached_name(said)
    yield Statement(ended(said), f"{kind} {thing.name} was there", table=table)
    if said != thing.sql:
        from .by_text import by_text  # hardly a text needs it

        reason = "its text names an attached database" if is_utf8(thing.sql) else "it is not UTF-8"
        yield from by_text(live, kind, thing.name, thing.sql, Statement("", reason))
