"""What a plan would break for the application: views, triggers and tables, tried in memory.

A view or trigger that SQLite cannot prepare fails only when it is used.
"""

from collections.abc import Sequence

from ..schema.model import Schema
from ..schema.usability import unusable
from .outcome import after
from .statement import Statement


def works_no_longer(live: Schema, statements: Sequence[Statement]) -> list[str]:
    """What works now but not after `statements`, one line each, with SQLite's reason."""
    has_own = live.views or live.triggers or any(t.kind == "virtual" for t in live.tables.values())
    if not statements or not has_own:
        return []
    before = unusable(live)
    now = unusable(after(live, statements))
    return [f"no longer works: {what}: {why}" for what, why in now.items() if what not in before]
