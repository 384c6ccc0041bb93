"""Keep the state of a database in a folder."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..declared.declaration import Settings
from ..errors import Lost
from ..place import Address, Place
from .connection import COMPANIONS, NOT_READABLE, connect, undisturbed
from .durable_files import create, make_folders, new_file, sync_folder, temporary_beside


@dataclass
class PreservedState:
    """`files` were kept; `lost` gives the reason for each that could not be; `notes` say what to
    know about those that were; `made` are the folders that were created for them.
    """

    folder: Path
    files: list[Path] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made: list[Path] = field(default_factory=list)

    def keep(self, name: str, make: Callable[[Path], None]) -> None:
        """Have `make` write the file `name`; if that fails, record it and continue."""
        path = self.folder / name
        try:
            self.made += make_folders(self.folder)
            make(path)
            self.files.append(path)
        except (OSError, sqlite3.Error) as error:
            self.lost.append(Lost.by(error, name))

    def keep_text(self, name: str, content: str) -> None:
        """Keep text as a file."""

        def make(path: Path) -> None:
            with new_file(path) as file:
                file.write(content.encode("utf-8", "surrogateescape"))

        self.keep(name, make)

    def keep_database(self, database: Place, settings: Settings) -> None:
        """Keep the database: by SQLite's backup, or byte by byte where SQLite cannot read it."""
        try:
            if isinstance(database, Path) and not database.exists():
                self.lost.append(Lost("database.db: there was no database"))
                return
            self.made += make_folders(self.folder)
            back_up(database, self.folder / "database.db", settings)
            self.files.append(self.folder / "database.db")
        except NOT_READABLE as error:
            if isinstance(database, Address):
                self.lost.append(Lost.by(error, "database.db"))
                return
            self.notes.append(f"database.db is a copy byte for byte: SQLite says {error}")
            self.keep_bytes(database)
        except OSError as error:
            self.lost.append(Lost.by(error, "database.db"))

    def keep_bytes(self, database: Path, opened: BinaryIO | None = None) -> None:
        """Keep the database byte by byte, with the files that SQLite keeps beside it. The holder of
        a lock passes the file `opened`: closing another descriptor of the same file would release
        the lock (POSIX, `fcntl`).
        """
        for suffix in ("", *COMPANIONS):
            source = database.with_name(database.name + suffix)
            if opened and not suffix:
                self.keep("database.db", partial(_copy_content, opened))
            elif source.exists():
                self.keep(f"database.db{suffix}", partial(_copy, source))

    def seal(self) -> None:
        """Sync the folder, or remove what was created if nothing could be kept."""
        if not self.files:
            with suppress(OSError):  # somebody else's file is in it
                for folder in reversed(self.made):
                    folder.rmdir()
            return
        try:
            sync_folder(self.folder)
            sync_folder(self.folder.parent)
        except OSError as error:
            self.lost.append(Lost.by(error, "the folder may not survive a power loss"))


PAGES = 4096
"""How many pages are copied between two looks at whether to stop."""


def back_up(
    database: Place,
    copy: Path,
    settings: Settings,
    progress: Callable[[int, int, int], None] | None = None,
) -> None:
    """Copy the committed state, including the `-wal`, consistently. `progress` is called with a
    status, the number of pages left and of all; what it raises ends the copy. Of a cluster it is
    the leader who makes the copy.
    """
    temporary = temporary_beside(copy)
    os.close(create(temporary))
    try:
        if isinstance(database, Address):
            from .rqlite import Nodes  # only who has one pays for this import

            with closing(Nodes(database)) as nodes:
                nodes.save(temporary)
        else:
            # Whoever may not lock the file has to look whether somebody wrote it meanwhile.
            undisturbed(database, lambda: _copy_pages(database, temporary, settings, progress))
        temporary.rename(copy)
    except BaseException:
        for suffix in ("", *COMPANIONS):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
        raise


def _copy_pages(
    database: Path,
    copy: Path,
    settings: Settings,
    progress: Callable[[int, int, int], None] | None,
) -> None:
    with (
        closing(connect(database, "ro", settings)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        # Hold the state: otherwise the backup would wait for a lock forever.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if progress:
            source.backup(target, pages=PAGES, progress=progress)
        else:
            source.backup(target)


def _copy(source: Path, copy: Path) -> None:
    with source.open("rb") as content:
        _copy_content(content, copy)


def _copy_content(content: BinaryIO, copy: Path) -> None:
    content.seek(0)
    with new_file(copy) as target:
        shutil.copyfileobj(content, target, 1 << 20)
