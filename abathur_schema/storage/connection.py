"""The only way to open a database: by its path, with the settings of `sql/pragma.sql`."""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

from ..declared.declaration import IN_THE_FILE, Setting, Settings
from ..errors import ForeignJournalError
from ..interruption import stop_asked
from ..place import Address, Place
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.scratch import STEPS_BETWEEN_LOOKS, exactly, guard

T = TypeVar("T")

COMPANIONS = ("-wal", "-shm", "-journal")
"""The suffixes of the files that SQLite keeps beside a database in use."""

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""The magic bytes that begin a rollback journal, and end one that names a super-journal."""

NOT_READABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a broken database raises; the second where SQLite's message quotes a name that is
not UTF-8."""

SECONDS = 120.0
SECONDS_PER_BYTE = 1e-5
"""The time limit of a read-only connection, plus seconds per byte of the file: far more than the
slowest disk needs. A hostile schema could make one step of a check take any time.
"""


def connect(
    database: Place,
    mode: Literal["ro", "rw"],
    settings: Settings,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """Open an existing database, in a file or a cluster; the caller begins and ends transactions.

    `ro` is strictly read-only (opened so, and query_only as well), guarded, and usable from any
    thread, one at a time. Raises sqlite3.Error when the file cannot be opened (a file that is not a
    database is noticed by the first statement that reads it), and ForeignJournalError when a
    `-journal` beside it would make SQLite delete a file that is not its own.
    """
    read_only = mode == "ro"
    if isinstance(database, Address):
        from .cluster import open_cluster  # only who has one pays for this import

        # What all nodes have agreed on is asked through their log, where writers would wait for it.
        return open_cluster(database, "weak" if read_only else "strong", read_only=read_only)
    if not read_only and (named := foreign_super_journal(database)):
        raise ForeignJournalError(
            f"{database.name}-journal would have SQLite delete {named!r}, which is not one"
            " of its files"
        )
    # as_uri() escapes what is special in a URI: space, ?, #, %.
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
    """A connection to a WAL database that nobody has open, for a user who does not own it, or may
    not write it.

    Opened normally, SQLite would create a `-wal` and a `-shm` owned by this user, and would not
    remove them; the owner could no longer write. So the file is opened as immutable, and long reads
    go through `undisturbed`.
    """


def unwritten(database: Path) -> tuple[int, ...] | None:
    """A fingerprint that changes when a database read as `Unwritten` is written; None for a
    database that is read normally.

    Raises sqlite3.OperationalError where this user can read it neither way.
    """
    found = database.stat()
    writes = os.access(database, os.W_OK)
    owns = os.geteuid() in (0, found.st_uid)  # SQLite gives what root creates to the owner
    if (writes and owns) or not os.access(database, os.R_OK):
        return None
    wal, shm = (database.with_name(f"{database.name}{suffix}") for suffix in COMPANIONS[:2])
    if wal.exists() and shm.exists():
        return None
    with database.open("rb") as file:
        if file.read(20)[18:20] != b"\2\2":  # not in WAL mode
            return None
    if wal.exists() and wal.stat().st_size:
        if writes:
            return None
        raise sqlite3.OperationalError("attempt to write a readonly database")
    return found.st_ino, found.st_size, found.st_mtime_ns


def undisturbed(database: Place, ask: Callable[[], T]) -> T:
    """Return what `ask` reads; repeat it if a database read as Unwritten was written meanwhile."""
    if isinstance(database, Address):
        return ask()
    while True:
        before = unwritten(database)
        try:
            found = ask()
        except NOT_READABLE:
            if before is None or unwritten(database) == before:
                raise
            continue
        if before is None or unwritten(database) == before:
            return found


def foreign_super_journal(database: Path) -> str:
    """The super-journal named by a `-journal` beside `database`, unless SQLite could have chosen
    that name (it ends with -mj and a number); otherwise empty.

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
    """How many seconds reading a file of `size` bytes may take before it is aborted."""
    return SECONDS + SECONDS_PER_BYTE * size


def size_of(database: Path) -> int:
    """The size of a database in bytes, with what is only in its `-wal`."""
    files = (database.with_name(database.name + suffix) for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def settle(connection: sqlite3.Connection, settings: Settings) -> None:
    """Apply the settings that a new connection does not have by default."""
    for setting in settings:
        if setting.name != IN_THE_FILE:
            connection.execute(setting.statement).fetchall()


@contextmanager
def fully_synced(connection: sqlite3.Connection, settings: Settings) -> Iterator[None]:
    """Sync fully, for changing the journal mode: SQLite writes that through a rollback journal,
    where `synchronous = NORMAL` does not survive every power loss (SQLite documentation, "PRAGMA
    synchronous").
    """
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        settle(connection, settings)


def left_out(connection: sqlite3.Connection) -> Mapping[str, str]:
    """What only a database in a file has, and why this one has it not: by `settings`, `file` (what
    is about pages) and `writing` (what tries things out in temporary tables). Empty for a file.
    """
    found: Mapping[str, str] = getattr(connection, "left_out", {})
    return found


def unsettled(connection: sqlite3.Connection, settings: Settings) -> list[tuple[Setting, str]]:
    """The settings that differ from `sql/pragma.sql`, each with its current value."""
    if enforces := getattr(connection, "enforces_keys", None):  # of a cluster, the only one that is
        return [(one, "0") for one in settings if one.name == "foreign_keys" and not enforces()]
    # An in-memory database has no file name, and no journal mode but "memory". The name itself is
    # not read: it may not be UTF-8.
    in_memory = connection.execute(  # temp: no object of the file can shadow this name
        "SELECT 1 FROM temp.pragma_database_list WHERE name = 'main' AND file = ''"
    ).fetchone()
    values = (
        (setting, str(connection.execute(f"PRAGMA {setting.name}").fetchone()[0]))
        for setting in settings
        # A database read as Unwritten is in WAL mode, though SQLite does not say so.
        if not (setting.name == IN_THE_FILE and (in_memory or isinstance(connection, Unwritten)))
    )
    return [(setting, value) for setting, value in values if value != setting.value]


def look(database: Place, settings: Settings) -> None:
    """Raise the error of a file that cannot be read, before opening it for writing: closing such a
    connection would move the content of its `-wal` into it.
    """
    # A file that is locked or needs recovery cannot be read this way: not an error here.
    with (
        suppress(sqlite3.OperationalError),
        closing(connect(database, "ro", settings)) as connection,
    ):
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def read_back(database: Place, settings: Settings) -> Schema | None:
    """The live schema, or None if it cannot be read."""
    try:
        with closing(connect(database, "ro", settings)) as connection:
            return read_schema(connection)
    except Exception:  # the report then says that nothing has been reached
        return None
