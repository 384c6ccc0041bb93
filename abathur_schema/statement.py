"""One statement of a plan, and the rows that keep it from running."""

from typing import NamedTuple


class Guard(NamedTuple):
    """Rows that break what is declared. `rows` is the FROM and WHERE that find them, `label` the
    SQL expression that names one, `says` what is wrong with them.
    """

    says: str
    rows: str
    label: str


class Statement(NamedTuple):
    """One statement to run, and why.

    `made` are pairs of a list of the report's `deliverables` and the name that belongs there once
    the statement is committed. `guards` are looked at before it runs, and so are the rows of
    `tells`, which stop nothing. `table` is the one whose rows it goes through, `rewrites` whether
    it writes rows that are there anew, and `only_rows` that it leaves the schema as it is.
    """

    sql: str
    reason: str
    made: tuple[tuple[str, str], ...] = ()
    guards: tuple[Guard, ...] = ()
    tells: tuple[Guard, ...] = ()
    table: str = ""
    rewrites: bool = False
    only_rows: bool = False
