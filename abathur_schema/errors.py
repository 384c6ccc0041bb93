"""What can go wrong, and with which exit code; each message says what to do next."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path


class AbathurError(Exception):
    """Base of the project's own errors; `exit_code` is what the command ends with."""

    exit_code: int


class UsageError(AbathurError):
    """The command or its input was wrong; nothing was touched."""

    exit_code = 2


class StepError(AbathurError):
    """A step cannot be done on this database; it was rolled back."""

    exit_code = 3


class WalRefusedError(StepError):
    """The file system cannot do WAL: SQLite answers with the journal mode that stays."""


class ForeignJournalError(StepError):
    """A `-journal` would have SQLite delete a file that is none of its own."""


class CannotReconcileError(StepError):
    """`step` meets objects that no statement of ours can bring to the declared form."""

    def __init__(self, step: str, problems: Sequence[str]) -> None:
        lines = "\n  ".join(problems)
        super().__init__(f"{lines}\n{step} cannot bring this to the declared form")


class ApplicationNeededError(StepError):
    """A statement needs a function or a collation that only the application has."""


class UpgradeError(StepError):
    """A file of `sql/upgrades/` does not work on this database."""


class BrokenRowsError(StepError):
    """Rows that are there break a constraint that `step` would add; a line for each constraint."""

    def __init__(self, step: str, found: Sequence[str]) -> None:
        lines = "\n  ".join(found)
        super().__init__(f"{lines}\n{step} changed nothing")


class OrphanedRowsError(StepError):
    """After a rebuild more rows than before would have no parent; it is undone in time."""

    def __init__(self, lost: Mapping[str, int]) -> None:
        rows = ", ".join(f"{number} rows of {key}" for key, number in lost.items())
        super().__init__(f"a table made anew would leave more rows without a parent: {rows}")


class NoCopyError(StepError):
    """No copy of the database could be kept before it is replaced or its rows are rewritten."""

    def __init__(self, folder: Path, lost: Sequence[str]) -> None:
        super().__init__(f"no copy of the database could be kept in {folder}: {'; '.join(lost)}")


class NoQueryError(UsageError, ValueError):
    """`explain_query_plan` was given something else than one query."""


class InitializationError(StepError):
    """`initialize()` could not do `step`; the step's own error is the `__cause__`.

    `report` is the path of the report and `preserved_state` the folder with the state; None where
    there is none, as for a database in memory.
    """

    def __init__(
        self, message: str, step: str, report: Path | None, preserved_state: Path | None
    ) -> None:
        super().__init__(message)
        self.step = step
        self.report = report
        self.preserved_state = preserved_state


class HidingNameError(sqlite3.DatabaseError):
    """A table or view is called as one of the functions that SQLite has for its pragmas, and would
    answer in its place. It is one of those with which a database cannot be read.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"the name {name} hides a function of SQLite")


class Interrupted(AbathurError):  # noqa: N818 - it is no error
    """Ctrl-C or SIGTERM: the step that was running was rolled back; 128 + signal, as in a shell."""

    def __init__(self, signal: int) -> None:
        super().__init__("interrupted; run the same command again to finish")
        self.exit_code = 128 + signal


VERIFY_FAILED = 1
"""`verify` found something wrong: an answer, not an error, so no exception carries it."""


def out_of_order(step: str, needed: str) -> str:
    """The message for a step that runs before the one that it needs."""
    return (
        f"{step} builds upon what {needed} makes, and that is not there."
        f" Run `invoke {needed}` first, or `invoke init` for all steps"
    )
