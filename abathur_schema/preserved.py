"""Preserved state: what is kept of a database when a step fails, so that nothing is lost.

`REPORTS/<stem>/` holds `database.db`, `statements.sql`, `escalation.md` and `report.json`.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from .connection import COMPANIONS, NOT_READABLE, connect
from .declared import PRAGMA, declared
from .errors import NoCopyError
from .escalation import escalation
from .files import create, make_folders, new_file, sync_folder
from .naming import as_called
from .plan import COMMIT, ROLL_BACK, changes_text, framed
from .report import compose, to_json
from .run import Run
from .steps import Attempt, Step


@dataclass
class PreservedState:
    """`files` were kept; `lost` says of each that could not be kept why; `notes` what to know of
    those that were.
    """

    folder: Path
    files: list[Path] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def keep(self, name: str, make: Callable[[Path], None]) -> None:
        """Let `make` write the file `name`; when it cannot, say so and go on."""
        path = self.folder / name
        try:
            make_folders(self.folder)
            make(path)
            self.files.append(path)
        except (OSError, sqlite3.Error) as error:
            self.lost.append(f"{name}: {error}")

    def keep_text(self, name: str, content: str) -> None:
        """Keep a text file."""

        def make(path: Path) -> None:
            with new_file(path) as file:
                file.write(content.encode("utf-8", "surrogateescape"))

        self.keep(name, make)

    def keep_database(self, database: Path) -> None:
        """Keep the database: by SQLite's backup, or byte for byte where SQLite cannot read it."""
        try:
            if not database.exists():
                self.lost.append("database.db: there was no database")
                return
            make_folders(self.folder)
            _back_up(database, self.folder / "database.db")
            self.files.append(self.folder / "database.db")
        except NOT_READABLE as error:
            self.notes.append(f"database.db is a copy byte for byte: SQLite says {error}")
            self.keep_bytes(database)
        except OSError as error:
            self.lost.append(f"database.db: {error}")

    def keep_bytes(self, database: Path, opened: BinaryIO | None = None) -> None:
        """Keep the database byte for byte, with what SQLite keeps beside it. Who holds a lock on it
        gives the file `opened`: to close another one of the same file would give the lock away
        (POSIX, `fcntl`).
        """
        for suffix in ("", *COMPANIONS):
            source = database.with_name(database.name + suffix)
            if opened and not suffix:
                self.keep("database.db", partial(_copy_content, opened))
            elif source.exists():
                self.keep(f"database.db{suffix}", partial(_copy, source))

    def seal(self) -> None:
        """See the folder itself on the disk; one that nothing could be kept in goes."""
        if not self.files:
            with suppress(OSError):  # it was not even made
                self.folder.rmdir()
            return
        try:
            sync_folder(self.folder)
            sync_folder(self.folder.parent)
        except OSError as error:
            self.lost.append(f"the folder may not survive a power loss: {error}")


def _back_up(database: Path, copy: Path) -> None:
    """Copy what is committed, `-wal` included, as one consistent state."""
    temporary = copy.with_name(f".{copy.name}.tmp")
    os.close(create(temporary))
    try:
        with (
            closing(connect(database, "ro")) as source,
            closing(sqlite3.connect(temporary, isolation_level=None)) as target,
        ):
            # Hold the state: without this the backup would wait for a lock for ever.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            source.backup(target)
        temporary.rename(copy)
    except BaseException:
        for suffix in ("", *COMPANIONS):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
        raise


def _copy(source: Path, copy: Path) -> None:
    with source.open("rb") as content:
        _copy_content(content, copy)


def _copy_content(content: BinaryIO, copy: Path) -> None:
    content.seek(0)
    with new_file(copy) as target:
        shutil.copyfileobj(content, target, 1 << 20)


def preserve(run: Run, folder: Path) -> str:
    """Keep in `folder` all that the contract names, as far as the disk allows.

    Returns the text of the report, of which `report.json` is a copy.
    """
    state = run.preserved = PreservedState(folder)
    state.keep_database(run.database)
    state.keep_text("statements.sql", statements_sql(run.steps))
    state.keep_text("escalation.md", as_called(escalation(run)))
    lost = len(state.lost)
    # The copy names itself: it is read only where it is.
    state.files.append(folder / "report.json")
    content = to_json(compose(run))
    state.files.pop()
    state.keep_text("report.json", content)
    state.seal()
    return content if len(state.lost) == lost else to_json(compose(run))


def keep_copy(run: Run, folder: Path) -> None:
    """Keep what is committed of the database, before rows of it are written anew.

    Raises NoCopyError when that cannot be done.
    """
    state = PreservedState(folder)
    state.keep("database.db", partial(_back_up, run.database))
    _hold(run, state)


def keep_replaced(run: Run, folder: Path, opened: BinaryIO, *, in_wal_mode: bool) -> None:
    """Keep the files of the database, which nobody else may write, before they are replaced;
    `opened` is the database itself.

    To be alone with it one has to take it out of WAL mode: `in_wal_mode` says that it was in that.
    Raises NoCopyError when it cannot be kept.
    """
    state = PreservedState(folder)
    state.keep_bytes(run.database, opened)
    if in_wal_mode and not state.lost:
        with closing(sqlite3.connect(folder / "database.db", isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = WAL")
    _hold(run, state)


def _hold(run: Run, state: PreservedState) -> None:
    state.seal()
    if state.lost:
        raise NoCopyError(state.folder, state.lost)
    run.copy = state


def complete_copy(run: Run, write: Callable[[], str]) -> str:
    """Add to the copy what ran after it was made, and the report, whose text `write` returns."""
    if run.copy is None:
        return write()
    run.copy.keep_text("statements.sql", statements_sql(run.steps))
    report = run.copy.folder / "report.json"
    run.copy.files.append(report)
    content = write()
    run.copy.files.remove(report)
    run.copy.keep_text(report.name, content)
    run.copy.seal()
    return content


def statements_sql(steps: Sequence[Step]) -> str:
    """What ran, in order and by step, ready to run again; the statement that failed is marked."""
    lines = ["-- What ran, in order; each step is one transaction.\n"]
    if any(changes_text(attempt.planned) for step in steps for attempt in step.attempts):
        lines.append("-- In the command line of sqlite3 run `.dbconfig defensive off` first.\n")
    lines += [setting.statement for setting in declared().settings]
    for step in steps:
        lines.append(f"\n-- step {step.name}: {step.status}")
        for number, attempt in enumerate(step.attempts, 1):
            if len(step.attempts) > 1:
                lines.append(f"-- attempt {number}: {_on_one_line(attempt.error) or 'done'}")
            if attempt.ran or attempt.running:
                lines += _attempt_sql(step, attempt)
    return "\n".join(lines) + "\n"


def _attempt_sql(step: Step, attempt: Attempt) -> Iterator[str]:
    before, after = framed(attempt.planned) if step.name != PRAGMA else ([], [])
    if attempt.running in before:  # not even begun
        before = before[: before.index(attempt.running)]
        after = []
    yield from (statement.sql for statement in (*before, *attempt.ran))
    if attempt.running:
        error = _on_one_line(attempt.error)
        yield f"-- >>> THIS STATEMENT FAILED: {error}\n{attempt.running.sql}"
    if attempt.error and after and attempt.running is not COMMIT:
        after = [ROLL_BACK, *after[1:]]
    elif attempt.error:
        after = after[1:]
    yield from (statement.sql for statement in after)


def _on_one_line(error: Exception | None) -> str:
    return " ".join(str(error or "").split())
