"""The errors and their exit codes; each message says what to do next."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path


class AbathurError(Exception):
    """Base of the project's errors; `exit_code` is that of the command."""

    exit_code: int


class UsageError(AbathurError):
    """The command or its input is wrong; nothing was touched."""

    exit_code = 2


class StepError(AbathurError):
    """A step is impossible on this database; it was rolled back."""

    exit_code = 3


class WalRefusedError(StepError):
    """The file system does not support WAL: SQLite reports that the journal mode did not change."""


class ForeignJournalError(StepError):
    """A `-journal` would make SQLite delete a file that is not its own."""


class CannotReconcileError(StepError):
    """`step` met objects that no statement of ours can give the declared form."""

    def __init__(self, step: str, problems: Sequence[str]) -> None:
        lines = "\n  ".join(problems)
        super().__init__(f"{lines}\n{step} cannot bring this to the declared form")


class ApplicationNeededError(StepError):
    """A statement needs a function or collation that only the application has."""


class UpgradeError(StepError):
    """A file of `sql/upgrades/` fails on this database."""


class BrokenRowsError(StepError):
    """Existing rows violate constraints that `step` would add; one line for each constraint."""

    def __init__(self, step: str, found: Sequence[str]) -> None:
        lines = "\n  ".join(found)
        super().__init__(f"{lines}\n{step} changed nothing")


class OrphanedRowsError(StepError):
    """A rebuild would leave more rows without a parent than before; it is rolled back."""

    def __init__(self, lost: Mapping[str, int]) -> None:
        rows = ", ".join(f"{number} rows of {key}" for key, number in lost.items())
        super().__init__(f"a rebuilt table would leave more rows without a parent: {rows}")


class Lost(str):
    """Why a file could not be kept, in words; `error` is what SQLite or the system raised."""

    error: Exception | None = None

    @classmethod
    def by(cls, error: Exception, name: str) -> "Lost":
        """The file `name` is lost by an error."""
        lost = cls(f"{name}: {error}")
        lost.error = error
        return lost


class NoCopyError(StepError):
    """The database could not be copied before being replaced or having its rows rewritten; the
    error that prevented it is the `__cause__`.
    """

    def __init__(self, folder: Path, lost: Sequence[Lost]) -> None:
        super().__init__(f"no copy of the database could be kept in {folder}: {'; '.join(lost)}")
        self.__cause__ = lost[0].error


class NoBackupError(StepError):
    """The database could not be copied to the place of a backup; nothing is left there. The error
    that prevented it is the `__cause__`.
    """

    def __init__(self, place: Path, lost: Sequence[Lost]) -> None:
        super().__init__(f"{place} could not be made: {'; '.join(lost)}")
        self.__cause__ = lost[0].error


class HeldError(StepError):
    """The write-ahead log could not be emptied because somebody reads an older state, or writes."""


class NoLeaderError(sqlite3.OperationalError):
    """No node of a cluster could be asked, or they have no leader: nothing was done."""


class UnknownOutcomeError(sqlite3.OperationalError):
    """The answer to a write was lost: nobody knows whether it took place."""


class ConflictError(sqlite3.OperationalError):
    """What a transaction has read was changed before it was committed: nothing was written."""


class BatchError(sqlite3.NotSupportedError):
    """Something that a cluster cannot do; the message says what to do instead."""


class NoQueryError(UsageError, ValueError):
    """`explain_query_plan` was given something other than a single query."""


class InitializationError(StepError):
    """`initialize()` failed in `step`; the error of the step is the `__cause__`.

    `report` is the path of the report and `preserved_state` the folder with the state; None where
    there is none, as for an in-memory database.
    """

    def __init__(
        self, message: str, step: str, report: Path | None, preserved_state: Path | None
    ) -> None:
        super().__init__(message)
        self.step = step
        self.report = report
        self.preserved_state = preserved_state


class HidingNameError(sqlite3.DatabaseError):
    """A table or view has the name of one of SQLite's pragma functions, and would answer in its
    place. Such a database cannot be read.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"the name {name} hides a function of SQLite")


class NoUtf8Error(sqlite3.DatabaseError):
    """A table has a name that Python cannot pass to SQLite. Such a database cannot be read."""

    def __init__(self, name: str) -> None:
        said = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        super().__init__(f"the name of the table {said} is not UTF-8")


class Interrupted(AbathurError):  # noqa: N818 - not an error
    """Ctrl-C or SIGTERM: the running step was rolled back; exit code 128 + signal."""

    def __init__(self, signal: int) -> None:
        super().__init__("interrupted; run the same command again to finish")
        self.exit_code = 128 + signal


NOT_ENFORCED = "start each node with -fk: without it, foreign keys are not enforced"

VERIFY_FAILED = 1
"""`verify` found faults: a result, not an error, so no exception carries it."""


def out_of_order(step: str, needed: str) -> str:
    """The message for a step that is run before the one it needs."""
    return (
        f"{step} needs what {needed} creates, which is missing."
        f" Run `invoke {needed}` first, or `invoke init` for all steps"
    )
