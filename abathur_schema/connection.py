"""The one way to open a database: by its path, with the settings of `sql/pragma.sql`."""

import sqlite3
from pathlib import Path
from typing import Literal

from .declared import IN_THE_FILE, Setting, declared
from .interruption import stop_asked

MINIMUM_SQLITE = (3, 37, 0)
"""The first version with pragma_table_list, which tells tables from virtual tables."""

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database file while it is in use."""

NOT_READABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a database that cannot be read raises; the second where SQLite's message quotes a name in it
that is no UTF-8."""

STEPS_BETWEEN_LOOKS = 1_000_000
"""After so many steps of its virtual machine, some milliseconds, SQLite looks for a Ctrl-C."""


def connect(
    database: Path,
    mode: Literal["ro", "rw"],
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """Open a database that exists; the caller begins and ends transactions.

    `ro` is strictly read-only: opened so, and query_only besides. Raises sqlite3.Error when the
    file cannot be opened; one that is no database is noticed by the first statement that reads.
    """
    # as_uri() quotes what has a meaning in a URI: space, ?, #, %.
    uri = f"{database.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, factory=factory)
    connection.set_progress_handler(stop_asked, STEPS_BETWEEN_LOOKS)
    try:
        settle(connection)
        if mode == "ro":
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def settle(connection: sqlite3.Connection) -> None:
    """Run on a connection the settings that it would not have otherwise."""
    for setting in declared().settings:
        if setting.name != IN_THE_FILE:
            connection.execute(setting.statement).fetchall()


def unsettled(connection: sqlite3.Connection) -> list[tuple[Setting, str]]:
    """The settings that do not read back as `sql/pragma.sql` says, each with what they are."""
    # A database in memory has no file name, and no journal mode but "memory". The name itself stays
    # in SQLite: it may be no UTF-8.
    in_memory = connection.execute(
        "SELECT 1 FROM pragma_database_list WHERE name = 'main' AND file = ''"
    ).fetchone()
    values = (
        (setting, str(connection.execute(f"PRAGMA {setting.name}").fetchone()[0]))
        for setting in declared().settings
        if not (in_memory and setting.name == IN_THE_FILE)
    )
    return [(setting, value) for setting, value in values if value != setting.value]
