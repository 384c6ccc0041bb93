"""What a plan would break for the application: views, triggers and tables, tried in memory.

A view or trigger that SQLite cannot prepare fails only when it is used.
"""

from collections.abc import Iterator, Sequence

from ..schema.model import Schema, Table
from ..schema.text import tokens
from ..schema.usability import unusable
from .outcome import after
from .statement import Statement


def works_no_longer(live: Schema, statements: Sequence[Statement]) -> list[str]:
    """What works now but not after `statements`, one line each, with SQLite's reason; then what
    compares otherwise.
    """
    has_own = live.views or live.triggers or any(t.kind == "virtual" for t in live.tables.values())
    collated = [table for table in live.tables.values() if table.collations]
    if not statements or not (has_own or collated):
        return []
    made = after(live, statements)
    told = [line for table in collated for line in _compares_otherwise(table, made)]
    if has_own:
        before = unusable(live)
        broken = ((what, why) for what, why in unusable(made).items() if what not in before)
        told = [*(f"no longer works: {what}: {why}" for what, why in broken), *told]
    return told


def _compares_otherwise(table: Table, made: Schema) -> Iterator[str]:
    """What is kept of a table that depends on the collation of a column, which changes."""
    new = next((one for one in made.tables.values() if one.name == table.name), table)
    there, then = table.collations, new.collations
    changed = {name: (there.get(name), then.get(name)) for name in there.keys() | then.keys()}
    changed = {name: pair for name, pair in changed.items() if pair[0] != pair[1]}
    kept = {
        **{f"CHECK ({one.expression})": one.text for one in new.check_constraints},
        **{f"column {one.name}": one.generated for one in new.columns},
        **{f"index {one.name}": one.where for one in made.indexes_on(new.name)},
    }
    for what, text in kept.items() if changed else ():
        for name in sorted(changed.keys() & {token.text for token in tokens(text)}):
            was, will = (one or "BINARY" for one in changed[name])
            yield f"compares otherwise: {what} of table {table.name}: {name} by {will}, not {was}"
