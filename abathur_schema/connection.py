"""The one way to open a database: by its path, with the settings of `sql/pragma.sql`."""

import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

from .declared import IN_THE_FILE, Setting, declared
from .errors import ForeignJournalError
from .interruption import stop_asked
from .sql_text import is_utf8
from .stand_ins import Lacking, asking

T = TypeVar("T")

MINIMUM_SQLITE = (3, 37, 0)
"""The first version with pragma_table_list, which tells tables from virtual tables."""

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database file while it is in use."""

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""Begins a rollback journal, and ends one that names a super-journal."""

NOT_READABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a database that cannot be read raises; the second where SQLite's message quotes a name in it
that is no UTF-8."""

STEPS_BETWEEN_LOOKS = 1_000_000
"""After so many steps of its virtual machine, some milliseconds, SQLite looks for a Ctrl-C."""

STEPS = 200_000_000
STEPS_PER_BYTE = 200
"""How many steps (and how many more for each byte of the file) SQLite may take on a connection that
is guarded: some seconds at least, and a hundred times what a sound file needs. A hostile one could
have it work for ever: pages that point to each other in ways that no tree has.
"""

SECONDS = 120.0
SECONDS_PER_BYTE = 1e-5
"""How long a connection that only reads may take, and how much longer for each byte of the file:
far longer than the slowest disk needs. A step can be made to take any time.
"""

LONGEST = 16 * 1024 * 1024
"""How long a value may be, in bytes, in a file that is itself no longer: far less than the 1 GB
that an expression in a hostile schema could ask SQLite to make, for each row."""


def connect(
    database: Path,
    mode: Literal["ro", "rw"],
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
        settle(connection)
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


def guard(connection: sqlite3.Connection, size: int) -> None:
    """Let the schema and the pages of a file of `size` bytes, whoever made it, do no harm (SQLite
    documentation, "Defense Against The Dark Arts").

    What stands in the schema may call harmless functions only, a page is looked at before it is
    used, and neither time nor memory is without bound. Extensions are off as Python leaves them.
    Not for connections of applications, whose own functions may stand in their schema.
    """
    if _json_is_harmless():
        connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    bound(connection, size)
    if sys.version_info >= (3, 11):  # before, Python cannot set it, and SQLite's own 1 GB is it
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size, LONGEST))


def longest_time(size: int) -> float:
    """How many seconds it may take to read a file of `size` bytes, before it is given up."""
    return SECONDS + SECONDS_PER_BYTE * size


_BYTES = {0xDC00 + byte: 0x10F700 + byte for byte in range(0x80, 0x100)}
_LETTERS = {letter: byte for byte, letter in _BYTES.items()}
"""Python can say to SQLite only what is UTF-8: in memory a letter that nobody uses stands in place
of each byte that is not."""

exactly = partial(str, encoding="utf-8", errors="surrogateescape")
"""How text is read: bytes that are no UTF-8 are kept, too."""


class Scratch(sqlite3.Connection):
    """A database in memory that takes texts as they were read, be they no UTF-8, or name what
    only the application has, which `lacks` tells.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lacks: set[Lacking] = set()

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        """Run a statement."""
        said = sql if is_utf8(sql) else sql.translate(_BYTES)
        execute = super().execute
        return asking(self, self.lacks, lambda: execute(said, *args))


def scratch() -> Scratch:
    """A new database in memory, guarded, in which to try what stands in the schema of a file."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Scratch)
    connection.text_factory = _as_it_was
    guard(connection, 0)
    return connection


def _as_it_was(text: bytes) -> str:
    said = exactly(text)
    return said if said.isascii() else said.translate(_LETTERS)


def bound(connection: sqlite3.Connection, size: int) -> None:
    """Let SQLite take on `connection` no more steps than a sound file of `size` bytes needs."""
    looks, last = count(1), (STEPS + STEPS_PER_BYTE * size) // STEPS_BETWEEN_LOOKS
    connection.set_progress_handler(lambda: stop_asked() or next(looks) > last, STEPS_BETWEEN_LOOKS)


@cache
def _json_is_harmless() -> bool:
    """Whether this SQLite lets a CHECK call json_valid() in a schema that is not trusted. 3.38 to
    3.40 do not, by mistake. There it stays trusted, which matters little: functions that reach out
    of the database are refused in a schema anyway, and nobody here defines others.
    """
    with closing(sqlite3.connect(":memory:")) as trial:
        trial.execute("PRAGMA trusted_schema = OFF")
        try:
            trial.execute("CREATE TABLE t (x CHECK (json_valid(x)))")
        except sqlite3.OperationalError:
            return False
        return True


def size_of(database: Path) -> int:
    """The bytes of a database and of what is in its `-wal` only."""
    files = (database.with_name(database.name + suffix) for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def settle(connection: sqlite3.Connection) -> None:
    """Run on a connection the settings that it would not have otherwise."""
    for setting in declared().settings:
        if setting.name != IN_THE_FILE:
            connection.execute(setting.statement).fetchall()


@contextmanager
def fully_synced(connection: sqlite3.Connection) -> Iterator[None]:
    """For a change of the journal mode, which SQLite writes by way of a rollback journal. There
    `synchronous = NORMAL` does not save the database from every power loss (SQLite documentation,
    "PRAGMA synchronous").
    """
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        settle(connection)


def unsettled(connection: sqlite3.Connection) -> list[tuple[Setting, str]]:
    """The settings that do not read back as `sql/pragma.sql` says, each with what they are."""
    # A database in memory has no file name, and no journal mode but "memory". The name itself stays
    # in SQLite: it may be no UTF-8.
    in_memory = connection.execute(  # temp: nothing of the file's own can have this name
        "SELECT 1 FROM temp.pragma_database_list WHERE name = 'main' AND file = ''"
    ).fetchone()
    values = (
        (setting, str(connection.execute(f"PRAGMA {setting.name}").fetchone()[0]))
        for setting in declared().settings
        # One that is read as Unwritten is in WAL mode, but SQLite does not say so.
        if not (setting.name == IN_THE_FILE and (in_memory or isinstance(connection, Unwritten)))
    )
    return [(setting, value) for setting, value in values if value != setting.value]
