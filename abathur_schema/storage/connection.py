"""The one way to open a database: by its path, with the settings of `sql/pragma.sql`."""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

from ..declared.declaration import IN_THE_FILE, Setting, Settings
from ..errors import ForeignJournalError
from ..interruption import stop_asked
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.scratch import STEPS_BETWEEN_LOOKS, exactly, guard

T = TypeVar("T")

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database file while it is in use."""

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""Begins a rollback journal, and ends one that names a super-journal."""

NOT_READABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a database that cannot be read raises; the second where SQLite's message quotes a name in it
that is no UTF-8."""

SECONDS = 120.0
SECONDS_PER_BYTE = 1e-5
"""How long a connection that only reads may take, and how much longer for each byte of the file:
far longer than the slowest disk needs. A step can be made to take any time.
"""


def connect(
    database: Path,
    mode: Literal["ro", "rw"],
    settings: Settings,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """Open a database that exists; the caller begins and ends transactions.

    `ro` is strictly read-only: opened so, and query_only besides; guarded, and any thread may use
    it, one at a time. Raises sqlite3.Error when the file cannot be opened (one that is no database
    is noticed by the first statement that reads), and ForeignJournalError when a `-journal` beside
    it would have SQLite delete a file that is none of its own.
    """
    read_only = mode == "ro"
    if not read_only and (named := foreign_super_journal(database)):
        raise ForeignJournalError(
            f"{database.name}-journal has SQLite delete {named!r}, which is none of its own files"
        )
    # as_uri() quotes what has a meaning in a URI: space, ?, #, %.
    uri = f"{database.absolute().as_uri()}?mode={mode}"
    if read_only and unwritten(database):
        uri, factory = f"{uri}&immutable=1", Unwritten
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=not read_only, factory=factory
    )
    connection.set_progress_handler(stop_asked, STEPS_BETWEEN_LOOKS)
    connection.text_factory = exactly
    try:
        settle(connection, settings)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
            guard(connection, size_of(database))
    except BaseException:
        connection.close()
        raise
    return connection


class Unwritten(sqlite3.Connection):
    """A connection to a database in WAL mode that nobody has open, by a user who may not write it.

    Opened as usual, SQLite would make a `-wal` and a `-shm` of this user's beside it, and could not
    take them away; its owner could then write no more. So SQLite takes the file as one that nobody
    writes; whoever reads much so asks by `undisturbed`.
    """


def unwritten(database: Path) -> tuple[int, ...] | None:
    """What tells whether a database that is read as `Unwritten` was written meanwhile; None for one
    that is read as usual.

    Raises sqlite3.OperationalError where this user can read it in neither way.
    """
    if os.access(database, os.W_OK) or not os.access(database, os.R_OK):
        return None
    wal, shm = (database.with_name(f"{database.name}{suffix}") for suffix in COMPANIONS[:2])
    if wal.exists() and shm.exists():
        return None
    with database.open("rb") as file:
        if file.read(20)[18:20] != b"\2\2":  # not in WAL mode
            return None
    if wal.exists() and wal.stat().st_size:
        raise sqlite3.OperationalError("attempt to write a readonly database")
    found = database.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def undisturbed(database: Path, ask: Callable[[], T]) -> T:
    """What `ask` reads; asked again where a database that is read as Unwritten was written."""
    while True:
        before = unwritten(database)
        found = ask()
        if before is None or unwritten(database) == before:
            return found


def foreign_super_journal(database: Path) -> str:
    """The file that a `-journal` left beside `database` names as its super-journal, unless the name
    is one that SQLite gives (it ends with -mj and a number); else empty.

    SQLite plays such a journal back when it opens the database for writing, and then deletes the
    file named there (SQLite documentation, "Database File Format", section "The Rollback Journal",
    and "Atomic Commit In SQLite").
    """
    try:
        content = database.with_name(f"{database.name}-journal").read_bytes()
    except OSError:
        return ""
    if not content.endswith(JOURNAL_MAGIC) or len(content) < 16:
        return ""
    length = int.from_bytes(content[-16:-12], "big")
    name = content[max(0, len(content) - 16 - length) : -16].split(b"\0")[0]
    text = name.decode("utf-8", "backslashreplace")
    return "" if not text or re.search(r"-mj[0-9A-F]{9}$", text) else text


def longest_time(size: int) -> float:
    """How many seconds it may take to read a file of `size` bytes, before it is given up."""
    return SECONDS + SECONDS_PER_BYTE * size


def size_of(database: Path) -> int:
    """The bytes of a database and of what is in its `-wal` only."""
    files = (database.with_name(database.name + suffix) for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def settle(connection: sqlite3.Connection, settings: Settings) -> None:
    """Run on a connection the settings that it would not have otherwise."""
    for setting in settings:
        if setting.name != IN_THE_FILE:
            connection.execute(setting.statement).fetchall()


@contextmanager
def fully_synced(connection: sqlite3.Connection, settings: Settings) -> Iterator[None]:
    """For a change of the journal mode, which SQLite writes by way of a rollback journal. There
    `synchronous = NORMAL` does not save the database from every power loss (SQLite documentation,
    "PRAGMA synchronous").
    """
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        settle(connection, settings)


def unsettled(connection: sqlite3.Connection, settings: Settings) -> list[tuple[Setting, str]]:
    """The settings that do not read back as `sql/pragma.sql` says, each with what they are."""
    # A database in memory has no file name, and no journal mode but "memory". The name itself stays
    # in SQLite: it may be no UTF-8.
    in_memory = connection.execute(  # temp: nothing of the file's own can have this name
        "SELECT 1 FROM temp.pragma_database_list WHERE name = 'main' AND file = ''"
    ).fetchone()
    values = (
        (setting, str(connection.execute(f"PRAGMA {setting.name}").fetchone()[0]))
        for setting in settings
        # One that is read as Unwritten is in WAL mode, but SQLite does not say so.
        if not (setting.name == IN_THE_FILE and (in_memory or isinstance(connection, Unwritten)))
    )
    return [(setting, value) for setting, value in values if value != setting.value]


def look(database: Path, settings: Settings) -> None:
    """Raise what is wrong with a file that cannot be read, before it is opened for writing: closing
    such a connection would move what is in its `-wal` into it.
    """
    # One that is locked or must be recovered first cannot be looked at so: another matter.
    with (
        suppress(sqlite3.OperationalError),
        closing(connect(database, "ro", settings)) as connection,
    ):
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def read_back(database: Path, settings: Settings) -> Schema | None:
    """The live schema, or None when it cannot be read."""
    try:
        with closing(connect(database, "ro", settings)) as connection:
            return read_schema(connection)
    except Exception:  # the report then says that nothing is reached
        return None
