"""Steps: each one transaction that brings its part of the database to the declared form."""

import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .connection import connect, guard, size_of, unsettled
from .declared import IN_THE_FILE, PRAGMA, declared
from .diagnosis import may_pass
from .errors import CannotReconcileError, StepError, WalRefusedError, out_of_order
from .interruption import interrupted, stop_asked, stop_if_asked
from .plan import Statement, needed_first, plan, problems
from .schema import Schema, read_schema

MAX_ATTEMPTS = 2

BEGIN = Statement("BEGIN IMMEDIATE;", "a step is one transaction")
COMMIT = Statement("COMMIT;", "a step is one transaction")


@dataclass
class Target:
    """The database that steps work on; its folder and file are made when the first step opens it.

    `made` are the folders and files that this run made.
    """

    path: Path
    made: list[Path] = field(default_factory=list)
    _seen: tuple[int, Schema] | None = None

    @cached_property
    def connection(self) -> sqlite3.Connection:
        """The one connection of all steps."""
        for folder in reversed(self.path.parents):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                self.made.append(folder)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            self.made.append(self.path)
        except FileExistsError:
            _look(self.path)
        connection = connect(self.path, "rw")
        guard(connection, size_of(self.path))
        return connection

    def live(self) -> Schema:
        """The live schema, read again only when SQLite counted a change of it."""
        version = self.connection.execute("PRAGMA schema_version").fetchone()[0]
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, read_schema(self.connection))
        return self._seen[1]

    def roll_back(self) -> None:
        """End the transaction as if it had not been; some errors have ended it already."""
        self._seen = None  # the count goes back too, and may be given again to another schema
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if connection := self.__dict__.pop("connection", None):
            connection.close()


def _look(database: Path) -> None:
    """Raise what is wrong with a file that cannot be read, before it is opened for writing: closing
    such a connection would move what is in its `-wal` into it.
    """
    # One that is locked or must be recovered first cannot be looked at so: another matter.
    with suppress(sqlite3.OperationalError), closing(connect(database, "ro")) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


@dataclass
class Attempt:
    """One try of a step: the statements that ran, and where and why it stopped."""

    ran: list[Statement] = field(default_factory=list)
    running: Statement | None = None
    error: Exception | None = None


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
    def status(self) -> str:
        """`changed`, `unchanged`, `failed` or `skipped`."""
        if self.skipped:
            return "skipped"
        if self.error or self.failed_checks:
            return "failed"
        return "changed" if self.ran else "unchanged"


def step_needed(connection: sqlite3.Connection, live: Schema, name: str) -> str | None:
    """The step that must run before `name` can, or None when it can run."""
    if name == PRAGMA:
        return None
    return PRAGMA if unsettled(connection) else needed_first(declared(), live, name)


def run_step(target: Target, name: str) -> Step:
    """Run one step, once more where a second try can help, and tell what became of it.

    An error, also that the user asked to stop, is in the result.
    """
    step = Step(name)
    started = time.perf_counter()
    while True:
        attempt = Attempt()
        step.attempts.append(attempt)
        try:
            stop_if_asked()
            _try(target, name, attempt)
        except Exception as error:  # whatever it is, the state is preserved and the report tells
            stopped = stop_asked() and str(error) == "interrupted"  # as SQLite says it
            attempt.error = interrupted() if stopped else error
        failure = attempt.error
        if failure is None or not may_pass(failure) or len(step.attempts) == MAX_ATTEMPTS:
            step.duration_ms = (time.perf_counter() - started) * 1000
            return step


def _try(target: Target, name: str, attempt: Attempt) -> None:
    if name == PRAGMA:
        _settle(target.connection, attempt)
        return
    connection = target.connection
    if needed := step_needed(connection, target.live(), name):
        raise StepError(out_of_order(name, needed))
    # A look before the lock: what has nothing to do waits for nobody, and holds nobody up.
    if not plan(declared(), target.live(), name):
        return
    attempt.running = BEGIN
    connection.execute(BEGIN.sql)
    attempt.running = None
    try:
        for statement in plan(declared(), target.live(), name):
            attempt.running = statement
            connection.execute(statement.sql)
            attempt.ran.append(statement)
        attempt.running = None
        if left := problems(declared(), target.live(), name):
            raise CannotReconcileError(name, left)
        attempt.running = COMMIT
        connection.execute(COMMIT.sql)
        attempt.running = None
    except BaseException:
        target.roll_back()
        raise


def _settle(connection: sqlite3.Connection, attempt: Attempt) -> None:
    """Bring the settings to what `sql/pragma.sql` says, and read them back; no transaction can."""
    timeout_ms = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    deadline = time.monotonic() + timeout_ms / 1000
    while pending := unsettled(connection):
        setting, value = pending[0]
        attempt.running = Statement(setting.statement, f"{setting.name} {value} -> {setting.value}")
        try:
            connection.execute(setting.statement).fetchall()
        except sqlite3.OperationalError as error:
            # SQLite does not wait for the lock when it changes the journal mode.
            if "is locked" not in str(error) or time.monotonic() > deadline:
                raise
            stop_if_asked()
            time.sleep(0.01)
            continue
        if pending[0] in unsettled(connection):
            refused = WalRefusedError if setting.name == IN_THE_FILE else StepError
            raise refused(f"{setting.name} stays {value} after {setting.statement.rstrip(';')}")
        attempt.ran.append(attempt.running)
    attempt.running = None
