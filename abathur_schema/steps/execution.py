"""Run steps: each is one transaction that gives its part of the database the declared form."""

import sqlite3
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from ..declared.declaration import IN_THE_FILE, PRAGMA, Declared
from ..diagnosis import may_pass
from ..errors import (
    NOT_ENFORCED,
    BrokenRowsError,
    CannotReconcileError,
    OrphanedRowsError,
    StepError,
    WalRefusedError,
    out_of_order,
)
from ..interruption import interrupted, stop_asked, stop_if_asked
from ..planning.plan import (
    as_step_error,
    changes_text,
    framed,
    is_rebuild,
    needed_first,
    plan,
    problems,
    setting_statement,
)
from ..planning.statement import Attempt, Guard, Statement, Step
from ..planning.usability import works_no_longer
from ..schema.difference import OtherTable, differences
from ..schema.model import Schema
from ..schema.stand_ins import lacking
from ..storage.connection import fully_synced, left_out, settle, unsettled
from ..storage.durable_files import sync_folder
from ..storage.foreign_keys import Violations, named, violations
from .row_count import counting
from .target import Target

T = TypeVar("T")

MAX_ATTEMPTS = 2

CACHE_KIB = 64 * 1024
"""The page cache during a rebuild, allocated as needed: with SQLite's default of 2 MB, keys in
random order (UUIDs) have pages read again and again. Creating an index is faster without it."""


SECONDS = 20.0
SECONDS_PER_BYTE = 0.2e-6
"""How long another process's rebuild may take, plus seconds per byte of the database: many times
what an ordinary disk needs."""


Events = Generator[Statement | Violations, None, T]
"""The statement that a step is about to run, or the foreign key violations found before it changes
a table. An exception thrown into the generator at an event makes the step fail."""


def step_needed(
    connection: sqlite3.Connection, declared: Declared, live: Schema, name: str
) -> str | None:
    """The step that must run before `name`, or None if it can run."""
    if name == PRAGMA:
        return None
    if unsettled(connection, declared.settings):
        return PRAGMA
    return needed_first(declared, live, name)


def run_step(target: Target, name: str) -> Events[Step]:
    """Run one step, twice where a second attempt may help, and return its outcome.

    Errors are part of the outcome, and so is an interruption by the user.
    """
    step = Step(name)
    started = time.perf_counter()
    while True:
        attempt = Attempt()
        step.attempts.append(attempt)
        try:
            stop_if_asked()
            yield from _try(target, name, attempt)
        except Exception as error:  # of any kind: the state is preserved and the report tells
            stopped = stop_asked() and str(error) == "interrupted"  # SQLite's wording
            attempt.error = interrupted() if stopped else _explained(target, error)
        failure = attempt.error
        if failure is None or not may_pass(failure) or len(step.attempts) == MAX_ATTEMPTS:
            step.duration_ms = (time.perf_counter() - started) * 1000
            return step


def _explained(target: Target, error: Exception) -> Exception:
    """The error; where something of the application is missing, with the object that needs it."""
    if not isinstance(error, sqlite3.Error) or not lacking(error):
        return error
    with suppress(Exception):  # the first error is the one to report
        told = as_step_error(target.live(), error)
        told.__cause__ = error
        return told
    return error


def _try(target: Target, name: str, attempt: Attempt) -> Events[None]:
    if name == PRAGMA:
        _settle(target, attempt)
        return
    connection = target.connection
    if needed := step_needed(connection, target.declared, target.live(), name):
        raise StepError(out_of_order(name, needed))
    # Plan, and try what it would break, before taking the lock: meanwhile nobody is held up.
    while wanted := plan(target.declared, live := target.live(), name):
        attempt.planned, attempt.notes = wanted, works_no_longer(live, wanted)
        with _transaction(target, wanted, attempt):
            if target.live() is live:  # else another process was faster: plan again
                yield from _change(target, name, wanted, attempt)
                return


@contextmanager
def _transaction(
    target: Target, statements: Sequence[Statement], attempt: Attempt
) -> Iterator[None]:
    """Begin the transaction of a step; whatever is not committed inside is rolled back."""
    connection = target.connection
    # Another `init` may be doing the same work: allow it the time that takes.
    patience = SECONDS + target.size() * SECONDS_PER_BYTE if is_rebuild(statements) else 0.0
    give_up = time.monotonic() + patience
    try:
        while True:
            try:
                _run(connection, framed(statements)[0], attempt)
                break
            except sqlite3.OperationalError as error:
                if not may_pass(error) or time.monotonic() > give_up:
                    raise
                target.progress.now("waiting for another process that writes")
                stop_if_asked()
        yield
    except BaseException:
        target.roll_back()
        raise
    finally:
        if connection.in_transaction:
            target.roll_back()
        if is_rebuild(statements):
            settle(connection, target.declared.settings)
            connection.execute("PRAGMA legacy_alter_table = OFF")
        if changes_text(statements):
            connection.execute("PRAGMA writable_schema = RESET")


def _change(
    target: Target, name: str, wanted: Sequence[Statement], attempt: Attempt
) -> Events[None]:
    connection = target.connection
    before = yield from _violations_before(target, name, wanted)
    for statement in wanted:
        if found := [line for guard in statement.guards for line in broken_rows(connection, guard)]:
            raise BrokenRowsError(name, found)
        attempt.notes += (line for tell in statement.tells for line in told_rows(connection, tell))
        yield statement
        cache = _with_cache(connection) if statement.rewrites else nullcontext()
        with counting(target.progress, connection, statement), cache:
            try:
                _run(connection, [statement], attempt)
            except sqlite3.IntegrityError as error:
                # Such as two values that become equal in the declared type.
                raise BrokenRowsError(name, [f"a row of {statement.table}: {error}"]) from error
        attempt.ran.append(statement)
    if left := problems(target.declared, target.live(), name):
        raise CannotReconcileError(name, left)
    if is_rebuild(wanted):
        target.progress.now(f"{name}: foreign keys")
        after = violations(connection, target.live()).counts
        # For a table that could not be checked, the number before is unknown.
        unknown = tuple(f"{table}(" for table in before.unchecked)
        lost = {key: n for key, n in (after - before.counts).items() if not key.startswith(unknown)}
        if lost:
            raise OrphanedRowsError(lost)
    _run(connection, framed(wanted)[1], attempt)


def broken_rows(connection: sqlite3.Connection, guard: Guard) -> Iterator[str]:
    """One line if any rows violate what is declared: how many, and the first of them."""
    (count,) = connection.execute(f"SELECT count(*) {guard.rows}").fetchone()
    if count:
        (first,) = connection.execute(f"SELECT {guard.label} {guard.rows} LIMIT 1").fetchone()
        rows = "1 row violates" if count == 1 else f"{count} rows violate"
        yield f"{guard.says}: {rows} this; the first is {first}"


def told_rows(connection: sqlite3.Connection, rows: Guard) -> Iterator[str]:
    """One line if there are such rows: what is worth knowing, and how many they are."""
    (count,) = connection.execute(f"SELECT count(*) {rows.rows}").fetchone()
    if count:
        yield f"{rows.says}: {count} row{'' if count == 1 else 's'}"


@contextmanager
def _with_cache(connection: sqlite3.Connection) -> Iterator[None]:
    (before,) = connection.execute("PRAGMA cache_size").fetchone()
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA cache_size = {before}")


def _run(connection: sqlite3.Connection, statements: Sequence[Statement], attempt: Attempt) -> None:
    for statement in statements:
        attempt.running = statement
        connection.execute(statement.sql)
    attempt.running = None


def _violations_before(
    target: Target, name: str, wanted: Sequence[Statement]
) -> Events[Violations]:
    """The foreign key violations that no change of ours caused, and that remain; looked for before
    a rebuild, and with `asks_rows` before any change of a table.
    """
    about = ("columns_added", "tables_changed")
    changes = any(made in about for one in wanted for made, _ in one.made)
    if not is_rebuild(wanted) and not (changes and target.asks_rows):
        return Violations(Counter(), ())
    from ..schema.table_changes import FormerForeignKey  # only older databases pay for this import

    target.progress.now("foreign keys, before anything is changed")
    declared = target.declared
    going = {
        named(change.key)
        for one in differences(declared.schema, target.live(), declared.objects(name))
        if isinstance(one, OtherTable)
        for change in one.changes
        if isinstance(change, FormerForeignKey)
    }
    found = violations(target.connection, target.live(), going)
    yield found
    return found


def _settle(target: Target, attempt: Attempt) -> None:
    """Apply the settings of `sql/pragma.sql` and read them back; this cannot be a transaction."""
    connection, settings = target.connection, target.declared.settings
    if why := left_out(connection).get("settings"):
        if unsettled(connection, settings):
            raise StepError(f"foreign keys are off: {NOT_ENFORCED}")
        attempt.notes.append(f"left out: {why}")
        return
    timeout_ms = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    deadline = time.monotonic() + timeout_ms / 1000
    while pending := unsettled(connection, settings):
        setting, value = pending[0]
        attempt.running = setting_statement(setting, value)
        try:
            if setting.name == IN_THE_FILE:
                with fully_synced(connection, settings):
                    connection.execute(setting.statement).fetchall()
                    # Otherwise, after a power loss, the deleted -journal could reappear beside a
                    # -wal, and with it the old mode.
                    assert isinstance(target.path, Path)
                    sync_folder(target.path.parent)
            else:
                connection.execute(setting.statement).fetchall()
        except sqlite3.OperationalError as error:
            # The busy timeout does not apply to changing the journal mode.
            if "is locked" not in str(error) or time.monotonic() > deadline:
                raise
            stop_if_asked()
            time.sleep(0.01)
            continue
        if pending[0] in unsettled(connection, settings):
            refused = WalRefusedError if setting.name == IN_THE_FILE else StepError
            raise refused(f"{setting.name} stays {value} after {setting.statement.rstrip(';')}")
        attempt.ran.append(attempt.running)
    attempt.running = None
