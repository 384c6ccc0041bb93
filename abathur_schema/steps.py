"""Steps: each one transaction that brings its part of the database to the declared form."""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .connection import connect, fully_synced, guard, settle, size_of, unsettled
from .declared import IN_THE_FILE, PRAGMA, Setting, declared
from .diagnosis import may_pass
from .difference import OtherTable, differences
from .errors import (
    BrokenRowsError,
    CannotReconcileError,
    OrphanedRowsError,
    StepError,
    WalRefusedError,
    out_of_order,
)
from .files import make_folders, sync_folder
from .foreign_keys import Violations, named, violations
from .interruption import interrupted, stop_asked, stop_if_asked
from .plan import as_step_error, changes_text, framed, is_rebuild, needed_first, plan, problems
from .progress import Progress
from .row_count import counting
from .schema import Schema, read_schema
from .stand_ins import lacking
from .statement import Guard, Statement
from .table_changes import FormerForeignKey
from .usability import works_no_longer

MAX_ATTEMPTS = 2

CACHE_KIB = 64 * 1024
"""Memory for pages while a table is made anew, taken as needed: with SQLite's own 2 MB, pages of
keys that come in no order (UUIDs) are read again and again. An index is made faster without."""


SECONDS = 20.0
SECONDS_PER_BYTE = 0.2e-6
"""How long, and how much longer for each byte of the database, another process may take to make its
tables anew: many times what a usual disk needs."""


def _nothing(*_: object) -> None:
    """What a caller who wants to hear nothing is told."""


@dataclass
class Target:
    """The database that steps work on; its folder and file are made when the first step opens it.

    `made` are the folders and files that this run made. `before_rewrite` is called once, before
    the first statement that writes rows anew; `before_change` with the violations of foreign keys
    that were there before a table is changed, and how many there are (`asks_rows`: also where no
    row will be written anew). `guarded` is for files of which nobody knows who made them.
    """

    path: Path
    made: list[Path] = field(default_factory=list)
    progress: Progress = field(default_factory=lambda: Progress(None))
    before_rewrite: Callable[[], None] = _nothing
    before_change: Callable[[Violations], None] = _nothing
    asks_rows: bool = False
    guarded: bool = True
    _seen: tuple[int, Schema] | None = None
    _planned: dict[str, tuple[Schema, list[Statement]]] = field(default_factory=dict)

    @cached_property
    def connection(self) -> sqlite3.Connection:
        """The one connection of all steps."""
        self.made += make_folders(self.path.parent, mode=0o777)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            self.made.append(self.path)
        except FileExistsError:
            look(self.path)
        connection = connect(self.path, "rw")
        if self.guarded:
            guard(connection, size_of(self.path))
        return connection

    def live(self) -> Schema:
        """The live schema, read again only when SQLite counted a change of it."""
        version = self.connection.execute("PRAGMA schema_version").fetchone()[0]
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, read_schema(self.connection))
        return self._seen[1]

    def plan(self, step: str) -> list[Statement]:
        """What `step` has to do, planned again only when the schema is another one."""
        live = self.live()
        seen, statements = self._planned.get(step, (None, []))
        if seen is not live:
            statements = plan(declared(), live, step)
            self._planned[step] = (live, statements)
        return statements

    def size(self) -> int:
        """The bytes of the database."""
        (size,) = self.connection.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        return int(size)

    def roll_back(self) -> None:
        """End the transaction as if it had not been; some errors have ended it already."""
        self._seen = None  # the count goes back too, and may be given again to another schema
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if connection := self.__dict__.pop("connection", None):
            connection.close()


def look(database: Path) -> None:
    """Raise what is wrong with a file that cannot be read, before it is opened for writing: closing
    such a connection would move what is in its `-wal` into it.
    """
    # One that is locked or must be recovered first cannot be looked at so: another matter.
    with suppress(sqlite3.OperationalError), closing(connect(database, "ro")) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


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
            attempt.error = interrupted() if stopped else _explained(target, error)
        failure = attempt.error
        if failure is None or not may_pass(failure) or len(step.attempts) == MAX_ATTEMPTS:
            step.duration_ms = (time.perf_counter() - started) * 1000
            return step


def _explained(target: Target, error: Exception) -> Exception:
    """The error, with the name of what needs what only the application has."""
    if not isinstance(error, sqlite3.Error) or not lacking(error):
        return error
    with suppress(Exception):  # what came first is what to tell
        told = as_step_error(target.live(), error)
        told.__cause__ = error
        return told
    return error


def _try(target: Target, name: str, attempt: Attempt) -> None:
    if name == PRAGMA:
        _settle(target, attempt)
        return
    connection = target.connection
    if needed := step_needed(connection, target.live(), name):
        raise StepError(out_of_order(name, needed))
    # A look before the lock: what has nothing to do waits for nobody, and holds nobody up.
    while wanted := target.plan(name):
        attempt.planned = wanted
        with _transaction(target, wanted, attempt):
            if target.plan(name) == wanted:  # or another one was faster: look again
                _change(target, name, wanted, attempt)
                return


@contextmanager
def _transaction(
    target: Target, statements: Sequence[Statement], attempt: Attempt
) -> Iterator[None]:
    """Begin what the statements of a step run in; whatever is not committed inside is undone."""
    connection = target.connection
    # Another `init` may be at the same work: then it takes as long as that does.
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
            settle(connection)
            connection.execute("PRAGMA legacy_alter_table = OFF")
        if changes_text(statements):
            connection.execute("PRAGMA writable_schema = RESET")


def _change(target: Target, name: str, wanted: Sequence[Statement], attempt: Attempt) -> None:
    connection = target.connection
    before = _violations_before(target, name, wanted)
    attempt.notes = works_no_longer(target.live(), wanted)
    for statement in wanted:
        if found := [line for guard in statement.guards for line in broken_rows(connection, guard)]:
            raise BrokenRowsError(name, found)
        attempt.notes += (line for tell in statement.tells for line in told_rows(connection, tell))
        if statement.rewrites:
            target.before_rewrite()
            target.before_rewrite = _nothing
        cache = _with_cache(connection) if statement.rewrites else nullcontext()
        with counting(target.progress, connection, statement), cache:
            try:
                _run(connection, [statement], attempt)
            except sqlite3.IntegrityError as error:
                # Such as two values that are equal in the type that is declared.
                raise BrokenRowsError(name, [f"a row of {statement.table}: {error}"]) from error
        attempt.ran.append(statement)
    if left := problems(declared(), target.live(), name):
        raise CannotReconcileError(name, left)
    if is_rebuild(wanted):
        target.progress.now(f"{name}: foreign keys")
        after = violations(connection, target.live()).counts
        # Of a table that could not be checked nobody can tell how many there were.
        unknown = tuple(f"{table}(" for table in before.unchecked)
        lost = {key: n for key, n in (after - before.counts).items() if not key.startswith(unknown)}
        if lost:
            raise OrphanedRowsError(lost)
    _run(connection, framed(wanted)[1], attempt)


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


def _violations_before(target: Target, name: str, wanted: Sequence[Statement]) -> Violations:
    """Those of foreign keys that no change of ours made, and that stay; looked for where rows are
    written anew, or where `asks_rows` and a table is changed.
    """
    about = ("columns_added", "tables_changed")
    changes = any(made in about for one in wanted for made, _ in one.made)
    if not is_rebuild(wanted) and not (changes and target.asks_rows):
        return Violations(Counter(), ())
    target.progress.now("foreign keys, before anything is changed")
    going = {
        named(change.key)
        for one in differences(declared().schema, target.live(), declared().objects(name))
        if isinstance(one, OtherTable)
        for change in one.changes
        if isinstance(change, FormerForeignKey)
    }
    found = violations(target.connection, target.live(), going)
    target.before_change(found)
    target.before_change = _nothing
    return found


def broken_rows(connection: sqlite3.Connection, guard: Guard) -> Iterator[str]:
    """One line when there are rows that break what is declared: how many, and the first."""
    (count,) = connection.execute(f"SELECT count(*) {guard.rows}").fetchone()
    if count:
        (first,) = connection.execute(f"SELECT {guard.label} {guard.rows} LIMIT 1").fetchone()
        rows = "1 row does" if count == 1 else f"{count} rows do"
        yield f"{guard.says}: {rows} not keep to that; the first is {first}"


def told_rows(connection: sqlite3.Connection, rows: Guard) -> Iterator[str]:
    """One line when there are such rows: what of them is to be known, and how many they are."""
    (count,) = connection.execute(f"SELECT count(*) {rows.rows}").fetchone()
    if count:
        yield f"{rows.says}: {count} row{'' if count == 1 else 's'}"


def setting_statement(setting: Setting, value: str) -> Statement:
    """The statement that brings a setting from `value` to what is declared."""
    change = f"{setting.name} {value} -> {setting.value}"
    return Statement(setting.statement, change, (("settings_changed", change),))


def _settle(target: Target, attempt: Attempt) -> None:
    """Bring the settings to what `sql/pragma.sql` says, and read them back; no transaction can."""
    connection = target.connection
    timeout_ms = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    deadline = time.monotonic() + timeout_ms / 1000
    while pending := unsettled(connection):
        setting, value = pending[0]
        attempt.running = setting_statement(setting, value)
        try:
            if setting.name == IN_THE_FILE:
                with fully_synced(connection):
                    connection.execute(setting.statement).fetchall()
                    # Else a power loss could leave the -journal, which is gone now, beside a -wal,
                    # and the old mode would come back.
                    sync_folder(target.path.parent)
            else:
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
