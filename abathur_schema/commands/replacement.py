"""Replace the file of a database: nobody else has it open, then one rename."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..causes import DISK_FAILED, FULL, LOCKED, NOT_OPENED
from ..declared.declaration import Settings
from ..diagnosis import recognize
from ..errors import UsageError
from ..storage.connection import COMPANIONS, NOT_READABLE, connect, fully_synced, look
from ..storage.durable_files import sync_folder
from ..storage.processes import named, processes_with


@contextmanager
def opened(database: Path) -> Iterator[BinaryIO | None]:
    """The file of the database, open; None if there is none."""
    if not database.exists():
        yield None
        return
    with database.open("rb") as file:
        yield file


@contextmanager
def alone(database: Path, settings: Settings) -> Iterator[str | None]:
    """Inside, no other process has the database open, and its file alone has its whole content.

    Yields the journal mode that it had; None for a file that SQLite cannot read. Such a file cannot
    be locked, and only the operating system knows who has it open. Raises UsageError.
    """
    if not database.exists():
        yield None
        return
    if others := processes_with(database):
        raise UsageError(in_use(database, f" ({', '.join(map(named, others))})"))
    connection = _opened(database, settings)
    if connection is None:
        yield None
        return
    with closing(connection):
        mode = _lock(connection, database, settings)
        try:
            yield mode
        except BaseException:
            if mode == "wal" and connection.in_transaction:
                with suppress(sqlite3.Error):  # the first error is the one to report
                    connection.execute("ROLLBACK")
                    with fully_synced(connection, settings):
                        connection.execute("PRAGMA journal_mode = WAL")
            raise


def _opened(database: Path, settings: Settings) -> sqlite3.Connection | None:
    """A connection to the database, or None where its content is no database. Raises UsageError
    where somebody has locked it, and sqlite3.Error where nothing is known about its content.
    """
    try:
        look(database, settings)
        return connect(database, "rw", settings)
    except NOT_READABLE as error:
        cause = recognize(error, database)
        if cause is LOCKED:
            raise UsageError(in_use(database, "")) from error
        if cause in (*NOT_OPENED, FULL, DISK_FAILED):
            raise
        return None


def _lock(connection: sqlite3.Connection, database: Path, settings: Settings) -> str | None:
    """Lock the database for this connection alone and leave WAL mode, so that SQLite moves the
    content of the `-wal` into it. Returns its former mode, or None when it cannot be read.
    """
    mode = "delete"
    try:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        with fully_synced(connection, settings):
            connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "is locked" not in str(error):
            raise
        with suppress(sqlite3.Error), fully_synced(connection, settings):
            connection.execute(f"PRAGMA journal_mode = {mode}")
        raise UsageError(in_use(database, "")) from error
    except NOT_READABLE:
        return None
    return str(mode)


def in_use(database: Path, who: str) -> str:
    """The message that somebody else has the database open."""
    return (
        f"another process has {database} open{who}, and would keep using the old file. Stop it,"
        " then run the same command again; nothing was touched."
    )


def swap(staged: Path, database: Path, *, is_new: bool) -> None:
    """Give the copy the name of the database, and sync the folder. Raises UsageError where nothing
    was there (`is_new`) and somebody has made a file of that name meanwhile.
    """
    if is_new and database.exists():
        raise UsageError(_made_meanwhile(database))
    # Files beside a database that SQLite cannot read are kept with it, and do not fit the new one.
    for suffix in COMPANIONS:
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    # Nor do those that SQLite removed: a power loss must not leave them beside the new one.
    sync_folder(database.parent)
    if is_new:
        _link(staged, database)
    else:
        staged.rename(database)
    with suppress(OSError):  # renamed, though a power loss might undo it
        sync_folder(database.parent)


def _link(staged: Path, database: Path) -> None:
    """Rename, unless the name is in use."""
    try:
        os.link(staged, database)
    except FileExistsError as error:
        raise UsageError(_made_meanwhile(database)) from error
    except OSError:  # a file system without hard links
        staged.rename(database)
    else:
        staged.unlink()


def _made_meanwhile(database: Path) -> str:
    return f"somebody else has just made {database}. Look at it, or name another file."


def remove(staged: Path) -> None:
    """Remove the copy and the files that SQLite keeps beside it."""
    for suffix in ("", *COMPANIONS):
        staged.with_name(staged.name + suffix).unlink(missing_ok=True)
