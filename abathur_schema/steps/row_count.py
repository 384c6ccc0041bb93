"""How many of a table's rows a running statement has gone through, for people who wait.

SQLite does not tell. But it tells each time that its virtual machine has done so many operations,
and how many of them a row takes can be read from the program of the statement (SQLite
documentation, "EXPLAIN"): the length of its loops. A row may take a shorter way: it is an estimate.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..interruption import stop_asked
from ..planning.statement import Statement
from ..progress import Progress
from ..schema.scratch import STEPS_BETWEEN_LOOKS, bound
from ..schema.text import quoted


@contextmanager
def counting(
    progress: Progress, connection: sqlite3.Connection, statement: Statement
) -> Iterator[None]:
    """While `statement` runs inside, show how far it is; where nobody can see it, do nothing."""
    if not progress.is_shown or not statement.table:
        yield
        return
    (rows,) = connection.execute(f"SELECT count(*) FROM {quoted(statement.table)}").fetchone()
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
    """The sum of the lengths of the loops: each is a jump back at the end of a row. The one to
    address 1 is no loop, but where every program begins.
    """
    program = connection.execute(f"EXPLAIN {sql}").fetchall()
    back = ("Next", "Prev", "SorterNext", "Goto")
    return sum(at - to for at, name, _, to, *_ in program if name in back and 1 < to < at) or 1
