"""One statement of a plan, and the rows that keep it from running."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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


class Attempt:
    """One try of a step: the statements that it had to run, those that ran, what to know of them,
    and where and why it stopped.
    """

    def __init__(self) -> None:
        self.planned: Sequence[Statement] = ()
        self.ran: list[Statement] = []
        self.notes: list[str] = []
        self.running: Statement | None = None
        self.error: Exception | None = None


@dataclass
class Step:
    """What became of one step; `duration_ms` covers all its attempts, `failed_checks` is the number
    of checks that failed when the step is `verify`.
    """

    name: str
    attempts: list[Attempt] = field(default_factory=list)
    duration_ms: float = 0.0
    skipped: bool = False
    failed_checks: int = 0

    @property
    def error(self) -> Exception | None:
        """Why the step failed, or None."""
        return self.attempts[-1].error if self.attempts else None

    @property
    def ran(self) -> list[Statement]:
        """The statements that took effect."""
        return self.attempts[-1].ran if self.attempts and not self.error else []

    @property
    def notes(self) -> list[str]:
        """What to know of what took effect."""
        return self.attempts[-1].notes if self.ran else []

    @property
    def status(self) -> str:
        """`changed`, `unchanged`, `failed` or `skipped`."""
        if self.skipped:
            return "skipped"
        if self.error or self.failed_checks:
            return "failed"
        return "changed" if self.ran else "unchanged"
