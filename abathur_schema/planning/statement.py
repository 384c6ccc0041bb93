"""The statements of a plan, and the outcome of running them."""

from collections.abc import Sequence
from typing import NamedTuple


class Guard(NamedTuple):
    """Rows that violate what is declared. `rows` is the FROM and WHERE that find them, `label` an
    SQL expression that identifies one, `says` what is wrong with them.
    """

    says: str
    rows: str
    label: str


class Statement(NamedTuple):
    """One statement to run, and the reason for it.

    `made` are pairs of a list in the report's `deliverables` and a name to add to it once the
    statement is committed. `guards` are checked before it runs; the rows of `tells` are reported
    but stop nothing. `table` is the table that it scans, `rewrites` says that it rewrites existing
    rows, and `only_rows` that it leaves the schema as it is.
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
    """One attempt at a step: the statements planned and those that ran, notes for the user, and
    where and why it stopped.
    """

    def __init__(self) -> None:
        self.planned: Sequence[Statement] = ()
        self.ran: list[Statement] = []
        self.notes: list[str] = []
        self.running: Statement | None = None
        self.error: Exception | None = None


class Step:
    """The outcome of one step; `duration_ms` covers all attempts, `failed_checks` is the number of
    failed checks when the step is `verify`.
    """

    def __init__(
        self,
        name: str,
        attempts: Sequence[Attempt] = (),
        duration_ms: float = 0.0,
        *,
        skipped: bool = False,
        failed_checks: int = 0,
    ) -> None:
        self.name = name
        self.attempts = [*attempts]
        self.duration_ms = duration_ms
        self.skipped = skipped
        self.failed_checks = failed_checks

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
        """What a user should know about what took effect."""
        return self.attempts[-1].notes if self.attempts and not self.error else []

    @property
    def status(self) -> str:
        """`changed`, `unchanged`, `failed` or `skipped`."""
        if self.skipped:
            return "skipped"
        if self.error or self.failed_checks:
            return "failed"
        return "changed" if self.ran else "unchanged"
