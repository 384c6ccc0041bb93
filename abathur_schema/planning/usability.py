"""What an application can do with its tables, views and triggers: tried on empty copies in memory.

A view or a trigger that SQLite cannot prepare fails whenever it is used, and says so only then.
"""

from collections.abc import Sequence

from ..schema.model import Schema
from ..schema.usability import unusable
from .plan import after
from .statement import Statement


def works_no_longer(live: Schema, statements: Sequence[Statement]) -> list[str]:
    """What can be used now and not after `statements`, a line each, with SQLite's reason."""
    has_own = live.views or live.triggers or any(t.kind == "virtual" for t in live.tables.values())
    if not statements or not has_own:
        return []
    before = unusable(live)
    now = unusable(after(live, statements))
    return [f"works no longer: {what}: {why}" for what, why in now.items() if what not in before]
