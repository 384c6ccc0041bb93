"""Estimate how many rows a running statement has processed, for people who wait.

SQLite does not report it. But it calls back every so many operations of its virtual machine, and
the operations for one row are the length of the loops in the statement's program (SQLite
documentation, "EXPLAIN"). Rows that take a shorter path make it an estimate.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..interruption import stop_asked
from ..planning.statement import Statement
from ..progress import Progress
from ..schema.scratch import STEPS_BETWEEN_LOOKS, bound
from ..schema.stand_ins import number_of_rows


@contextmanager
def counting(
    progress: Progress, connection: sqlite3.Connection, statement: Statement
) -> Iterator[None]:
    """Show the progress of `statement` while it runs inside; do nothing where nobody can see it."""
    if not statement.table or not progress.is_shown:
        yield
        return
    rows = number_of_rows(connection, statement.table)
    total = rows * _operations_of_a_row(connection, statement.sql)
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        return stop_asked()

    def how_far() -> str:
        done = min(looks * STEPS_BETWEEN_LOOKS / max(total, 1), 1)
        return f"about {int(rows * done):,} of {rows:,} rows"

    action = "copying" if statement.rewrites else "making an index of"
    progress.now(f"{action} {statement.table}", how_far)
    connection.set_progress_handler(look, STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        progress.now(statement.table)
        (size,) = connection.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        bound(connection, size)


def _operations_of_a_row(connection: sqlite3.Connection, sql: str) -> int:
    """The total length of the loops: each is a jump back at the end of a row. A jump to address 1
    is no loop, but the start of every program.
    """
    program = connection.execute(f"EXPLAIN {sql}").fetchall()
    back = ("Next", "Prev", "SorterNext", "Goto")
    return sum(at - to for at, name, _, to, *_ in program if name in back and 1 < to < at) or 1
