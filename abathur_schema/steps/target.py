"""The database that the steps of one run work on."""

import os
import sqlite3
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..declared.declaration import Declared
from ..planning.plan import plan
from ..planning.statement import Statement
from ..progress import Progress
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.scratch import guard
from ..storage.connection import connect, look, size_of
from ..storage.durable_files import make_folders


@dataclass
class Target:
    """The database that steps bring to what is `declared`; its folder and file are made when the
    first step opens it.

    `made` are the folders and files that this run made. With `asks_rows`, violations of foreign
    keys are looked for before any change of a table, not only before a rebuild. `guarded` is for
    files of which nobody knows who made them.
    """

    path: Path
    declared: Declared
    made: list[Path] = field(default_factory=list)
    progress: Progress = field(default_factory=lambda: Progress(None))
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
            look(self.path, self.declared.settings)
        connection = connect(self.path, "rw", self.declared.settings)
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
            statements = plan(self.declared, live, step)
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
