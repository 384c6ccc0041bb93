"""`checkpoint`, `vacuum` and `optimize`: what SQLite can do for a file that is in use."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import closing
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from ..declared.declaration import Settings
from ..errors import HeldError, UsageError
from ..interruption import stop_if_asked
from ..planning.statement import Attempt, Statement
from ..schema.model import Schema, Table
from ..schema.reading import read_schema
from ..schema.stand_ins import lacking
from ..schema.text import ROWID_NAMES, Token, fold, quoted, tokens, unquoted
from ..storage.connection import connect, size_of

ANALYSIS_LIMIT = 1000
"""How many entries of an index are looked at: milliseconds on any size (SQLite documentation,
"ANALYZE", section "Approximate ANALYZE For Large Databases")."""


def checkpoint(database: Path, settings: Settings, attempt: Attempt, *, truncate: bool) -> None:
    """Copy what is in the `-wal` into the file; with `truncate`, wait for readers as long as
    `busy_timeout` allows, and cut the log to nothing. Raises HeldError where that is not possible.
    """
    mode = "TRUNCATE" if truncate else "PASSIVE"
    with closing(connect(database, "rw", settings)) as connection:
        attempt.running = Statement(f"PRAGMA wal_checkpoint({mode})", "pages in the log")
        busy, pages, copied = connection.execute(attempt.running.sql).fetchone()
    if pages < 0:
        attempt.notes.append("the database is not in WAL mode: there is no log (`invoke pragma`)")
    elif busy and truncate:
        raise HeldError(f"{pages - copied} of {pages} pages of the log could not be copied: busy")
    else:
        done = f"{copied} of {pages} pages copied" if pages else "nothing to copy"
        _done(attempt, done if pages else "")
        if copied < pages:
            attempt.notes.append(f"{pages - copied} pages wait for readers of an older state")
    attempt.running = None


class Room(NamedTuple):
    """The bytes that a vacuum needs on one file system, and that are free there; `folders` are
    those of ours that are on it.
    """

    folders: tuple[str, ...]
    needs: int
    free: int


class Estimate(NamedTuple):
    """What a vacuum would free, in bytes, and the room that it needs."""

    frees: int
    rooms: tuple[Room, ...]

    def lines(self) -> Iterator[str]:
        """The estimate for people."""
        yield f"frees about {self.frees / 1e6:,.1f} MB"
        for room in self.rooms:
            yield (
                f"needs {room.needs / 1e6:,.1f} MB for a time in {' and '.join(room.folders)}"
                f" ({room.free / 1e6:,.1f} MB are free)"
            )


def estimate(database: Path, settings: Settings, copy_to: Path | None) -> Estimate:
    """Look at what a vacuum would do: SQLite writes the file anew, first as a temporary file, then
    into the log; before that a copy goes to `copy_to`. Raises UsageError where it would break
    something.
    """
    with closing(connect(database, "ro", settings)) as connection:
        page, pages, free = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        bound = bound_to_rowids(read_schema(connection))
    if bound:
        raise UsageError(
            f"a vacuum gives other rowids to the rows of {', '.join(bound)}, and what keeps them (a"
            " full-text search, or what a trigger inserts them into) would find other rows. Give"
            " the table an INTEGER PRIMARY KEY, or drop the search with its triggers and make it"
            " anew afterwards; nothing was touched."
        )
    used = page * (pages - free)
    wanted = [(database.parent, used), (_temporary_folder(), used)]
    if copy_to:
        wanted.append((copy_to, page * pages))
    return Estimate(page * free, tuple(_rooms(wanted)))


def _rooms(wanted: Sequence[tuple[Path, int]]) -> Iterator[Room]:
    """What is needed on each file system."""
    devices: dict[int, list[tuple[Path, int]]] = {}
    for folder, size in wanted:
        while not folder.exists():
            folder = folder.parent
        devices.setdefault(folder.stat().st_dev, []).append((folder, size))
    for found in devices.values():
        folders = tuple(dict.fromkeys(str(folder) for folder, _ in found))
        needs = sum(size for _, size in found)
        yield Room(folders, needs, shutil.disk_usage(found[0][0]).free)


def _temporary_folder() -> Path:
    """Where SQLite puts temporary files (SQLite documentation, "Temporary Files Used By SQLite",
    section "Temporary File Storage Locations").
    """
    variables = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    for name in (*variables, "/var/tmp", "/usr/tmp", "/tmp"):
        if name and Path(name).is_dir() and os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    return Path.cwd()


def bound_to_rowids(live: Schema) -> list[str]:
    """The tables without an INTEGER PRIMARY KEY whose rowids something keeps: an FTS table over
    them, or over a view that shows them, or what a trigger inserts them into (SQLite documentation,
    "VACUUM", section "How VACUUM works", and "FTS5", sections "Contentless Tables" and "External
    Content Tables").
    """
    used: dict[str, set[str]] = {}
    for table in live.tables.values():
        for name, names in _contents(live, table):
            used.setdefault(name, set()).update(names)
    for trigger in live.triggers.values():
        used.setdefault(fold(trigger.table), set()).update(_inserted_rowids(trigger.sql))
    return [
        table.name
        for name, table in live.tables.items()
        if table.kind == "table"
        and not (table.has_rowid_key or table.without_rowid)
        and used.get(name, set()) - table.column.keys()  # a column of that name is no rowid
    ]


def _contents(live: Schema, table: Table) -> Iterator[tuple[str, Set[str]]]:
    """The tables, folded, whose rowids an FTS table has by its option `content`, each with the
    names by which it reads them.
    """
    found = tokens(table.sql) if table.kind == "virtual" else ()
    for (option, sign), value in zip(pairwise(found), found[2:], strict=False):
        if (option.text, sign.text) == ("content", "="):
            content = fold(unquoted(value.text))
            yield content, {"rowid"}
            if content in live.views:
                yield from _shown_rowids(live, content, set())


def _shown_rowids(live: Schema, view: str, seen: set[str]) -> Iterator[tuple[str, Set[str]]]:
    """The tables that a view may show the rowids of, itself or by another view."""
    seen.add(view)
    words = {one.text.strip('"') for one in tokens(live.views[view].sql)}
    for name in words & live.tables.keys():
        yield name, words.intersection(ROWID_NAMES)
    for other in (words & live.views.keys()) - seen:
        yield from _shown_rowids(live, other, seen)


def _inserted_rowids(trigger: str) -> set[str]:
    """The names by which statements of a trigger insert the rowid of the row that it runs for."""
    found = tokens(trigger)
    texts = [one.text for one in found[found.index(Token("word", "begin")) :]]
    names: set[str] = set()
    for _, statement in groupby(texts, lambda text: text == ";"):
        words = [*statement]
        if "insert" in words or ("replace", "into") in {*pairwise(words)}:
            names.update(
                name
                for row, dot, name in zip(words, words[1:], words[2:], strict=False)
                if row in ("new", "old") and dot == "." and name in ROWID_NAMES
            )
    return names


def vacuum(
    database: Path, settings: Settings, attempt: Attempt, before: Callable[[], None]
) -> None:
    """Rewrite the file without its free pages. `before` is called when nothing else can stop it."""
    size = size_of(database)
    with closing(connect(database, "rw", settings)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # who may not write needs no copy either
        connection.execute("ROLLBACK")
        before()
        stop_if_asked()
        attempt.running = Statement("VACUUM", "free pages in the file")
        connection.execute("VACUUM")
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            attempt.notes.append(
                "the file shrinks when readers of an older state end: `invoke checkpoint` then"
            )
    freed = max(0, size - size_of(database))  # the new pages may have to wait in the log
    _done(attempt, f"{freed / 1e6:,.1f} MB freed")
    attempt.running = None


def optimize(database: Path, settings: Settings, attempt: Attempt) -> None:
    """Bring the statistics up to date that SQLite plans queries by."""
    with closing(connect(database, "rw", settings)) as connection:
        connection.execute(f"PRAGMA analysis_limit = {ANALYSIS_LIMIT}")
        before = _statistics(connection)
        attempt.running = Statement("ANALYZE", "statistics that are old, or missing")
        connection.execute("BEGIN IMMEDIATE")  # the tables stay, as in one ANALYZE of them all
        attempt.notes += _analyze(connection)
        connection.execute("COMMIT")
        after = _statistics(connection)
    _done(attempt, "statistics written" if before != after else "")
    attempt.running = None


def _analyze(connection: sqlite3.Connection) -> Iterator[str]:
    """Analyze table by table; where an index needs a collation of the application, all the others.
    Yields what was left out.
    """
    names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%'"
    for (table,) in connection.execute(f"{names} ESCAPE '!'").fetchall():
        try:
            connection.execute(f"ANALYZE {quoted(table)}")
        except sqlite3.OperationalError as error:
            if not lacking(error):
                raise
            for (index,) in connection.execute("SELECT name FROM pragma_index_list(?)", (table,)):
                try:
                    connection.execute(f"ANALYZE {quoted(index)}")
                except sqlite3.OperationalError as of_index:
                    if not lacking(of_index):
                        raise
                    yield f"index {index} was left out: {of_index}, which only its application has"


def _statistics(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    try:
        rows = connection.execute("SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY 1, 2")
        return [*map(tuple, rows)]
    except sqlite3.OperationalError:  # there are none yet
        return []


def _done(attempt: Attempt, what: str) -> None:
    """Record the statement that ran, with what it did in a few words."""
    if what:
        assert attempt.running
        made = (("settings_changed", what),)
        attempt.ran.append(attempt.running._replace(made=made))
