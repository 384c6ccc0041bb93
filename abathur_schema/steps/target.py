"""The database that the steps of a run work on."""

import os
import sqlite3
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..declared.declaration import Declared
from ..place import Address, Place
from ..progress import Progress
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.scratch import guard
from ..storage.connection import connect, look, size_of
from ..storage.durable_files import DATABASE_MODE, create, make_folders


class Seen(NamedTuple):
    """A live schema as read, with SQLite's schema version and the file (device and inode); it is
    valid as long as both stay the same.
    """

    version: int
    schema: Schema
    file: tuple[int, int]


def see(path: Place, connection: sqlite3.Connection) -> Seen:
    """Read the live schema. Raises sqlite3.Error."""
    file = _file(path)
    # The version first: if another process changes the schema in between, that is noticed later.
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    return Seen(version, read_schema(connection), file)


def _file(path: Place) -> tuple[int, int]:
    if isinstance(path, Address):
        return 0, 0
    try:
        found = path.stat()
    except OSError:  # in memory, or deleted: a file that replaces it has another number
        return 0, 0
    return found.st_dev, found.st_ino


class Target:
    """The database that steps give the `declared` form; its folder and file are created when the
    first step opens it.

    `made` are the folders and files that this run created. With `asks_rows`, foreign key violations
    are looked for before any change of a table, not only before a rebuild. `guarded` protects from
    files of unknown origin. `seen` is what has already been read.
    """

    def __init__(
        self,
        path: Place,
        declared: Declared,
        made: list[Path] | None = None,
        progress: Progress | None = None,
        *,
        asks_rows: bool = False,
        guarded: bool = True,
        seen: Seen | None = None,
    ) -> None:
        self.path, self.declared = path, declared
        self.made = [] if made is None else made
        self.progress = progress or Progress(None)
        self.asks_rows, self.guarded = asks_rows, guarded
        self.seen = seen

    @cached_property
    def connection(self) -> sqlite3.Connection:
        """The connection that all steps share."""
        if isinstance(self.path, Address):
            return connect(self.path, "rw", self.declared.settings)
        self.made += make_folders(self.path.parent, mode=0o777)
        try:
            os.close(create(self.path, DATABASE_MODE))
            self.made.append(self.path)
        except FileExistsError:
            if not self.seen or self.seen.file != _file(self.path):
                self.seen = None
                look(self.path, self.declared.settings)
        connection = connect(self.path, "rw", self.declared.settings)
        if self.guarded:
            guard(connection, size_of(self.path))
        return connection

    def live(self) -> Schema:
        """The live schema, read again only when its version has changed."""
        version = self.connection.execute("PRAGMA schema_version").fetchone()[0]
        if self.seen is None or self.seen.version != version:
            self.seen = see(self.path, self.connection)
        return self.seen.schema

    def size(self) -> int:
        """The size of the database in bytes."""
        (size,) = self.connection.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        return int(size)

    def roll_back(self) -> None:
        """Roll back the transaction, unless an error has ended it already."""
        self.seen = None  # the version is rolled back too, and may be reused by another schema
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection, if open."""
        if connection := self.__dict__.pop("connection", None):
            connection.close()
