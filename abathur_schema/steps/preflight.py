"""Checks made before anything is touched; whatever is wrong here is a UsageError."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ..declared.declaration import (
    PLAN,
    PRAGMA,
    RESTORE,
    SCHEMA_STEPS,
    SEARCH,
    VERIFY,
    Declared,
    declared,
)
from ..diagnosis import explain, here
from ..errors import NOT_ENFORCED, NoLeaderError, UsageError, out_of_order
from ..place import Address, Place, address, unless_default
from ..schema.model import Schema
from ..storage import litestream
from ..storage.connection import COMPANIONS, NOT_READABLE, connect, unsettled
from ..wording import on_one_line, quote
from .execution import step_needed
from .target import Seen, see


def of_another_application(declared: Declared, live: Schema) -> str | None:
    """Why the database belongs to another application: a table that shares nothing but its name
    with ours. None if it does not.

    A table of ours, of any age, has most of the columns that each of its rows must fill, or at
    least most of all its columns.
    """
    for name, wanted in declared.schema.tables.items():
        table = live.tables.get(name)
        if not table or table.kind != "table":
            continue
        names = {*table.column, *_called_now(declared, live, name)}
        must = [
            column
            for column, form in wanted.column.items()
            if form.notnull
            and not (form.default or form.generated)
            and (name, column) not in declared.fills
        ]
        if all(sum(one in names for one in of) * 2 < len(of) for of in (must, wanted.column)):
            there = ", ".join(column.name for column in table.columns[:10]) or "none"
            return (
                f"its table {table.name} has the columns {there[:200]}; ours has"
                f" {', '.join(must)} and others."
            )
    return None


def _called_now(declared: Declared, live: Schema, table: str) -> Iterator[str]:
    """The columns of `table` that upgrades rename, by their current names."""
    for upgrade in declared.upgrades:
        if upgrade.applies(live):
            for name in upgrade.lacks:
                of, _, column = name.partition(".")
                if of == table:
                    yield column


class Request(NamedTuple):
    """The database (of a file symbolic links are resolved, as SQLite keeps `-wal` beside the file
    itself) and the folder for reports, both absolute; and the declared schema.
    """

    database: Place
    reports: Path
    declared: Declared


def check(task: str, database: object, reports: object, schema: object = None) -> Request:
    """What `task` is to work on; `schema` is the folder of a schema of one's own, or None. Raises
    UsageError when it cannot.
    """
    wanted = read_declared(schema, search=task == SEARCH)
    if task in ("init", VERIFY):
        _ = wanted.checks  # errors in these files surface before anything is touched
    place = address(database) if isinstance(database, str) else None
    if place:
        folder = path_of("reports", reports, "a folder, with --reports DIR")
        if task == PRAGMA:
            raise UsageError(f"the settings of {place} are those of its nodes. Run `invoke core`.")
        return Request(place, folder, wanted)
    path, folder = check_paths(task, database, reports, wanted)
    return Request(path, folder, litestream.beside(path, wanted))


def check_file(
    task: str, database: object, reports: object, schema: object = None, *, called: str = ""
) -> tuple[Path, Path, Declared]:
    """The same for a task that only works on a file; `called` is its name, if that is another."""
    place, folder, wanted = check(task, database, reports, schema)
    if isinstance(place, Address):
        raise UsageError(
            f"`invoke {called or task}` is about one file, and {place} has one on each node. Name"
            " a file: `invoke backup` makes one of a cluster; nothing was touched."
        )
    return place, folder, wanted


def check_paths(
    task: str, database: object, reports: object, wanted: Declared
) -> tuple[Path, Path]:
    """The database, symbolic links resolved, and the folder for reports. Raises UsageError."""
    if database == ":memory:":
        raise UsageError(
            "an in-memory database would be gone when this command ends."
            " Name a file, with --database PATH."
        )
    path = path_of("database", database, "a file, with --database PATH")
    folder = path_of("reports", reports, "a folder, with --reports DIR")
    try:
        found = _database(task, path)
        if found is None:
            first = PRAGMA if task in (*SCHEMA_STEPS, SEARCH) else "init"
            run = here(f"Run `invoke {first}` first.", path, unless_default(folder), wanted.own)
            raise UsageError(f"there is no database at {path}. {run}")
        _check_name(found)
    except OSError as error:
        raise UsageError(f"{path} cannot be a database: {error.strerror}. Name another.") from error
    place = _followed(folder)
    taken = {found.with_name(found.name + suffix) for suffix in ("", *COMPANIONS)}
    if taken & {place, *place.parents}:
        raise UsageError(f"{folder} is where the database is. Name another folder.")
    return found, folder


def read_declared(schema: object, *, search: bool = False) -> Declared:
    """Read the declared schema, with the one in the folder `schema` on top unless it is None or
    empty; with `search`, the optional step as well. Raises UsageError.
    """
    if schema is None or schema == "":
        return declared(search=search)
    if isinstance(schema, Path):
        schema = str(schema)
    return declared(path_of("schema", schema, "its folder, with --schema DIR"), search=search)


def path_of(setting: str, value: object, remedy: str) -> Path:
    """The absolute path that a user has given for `setting`. Raises UsageError."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise UsageError(f"{value!r} is not a path for the {setting}. Name {remedy}.")
    try:
        os.fsencode(value)
        return Path(os.path.expanduser(value)).absolute()  # noqa: PTH111 - keeps ~nobody as it is
    except UnicodeEncodeError as error:
        raise UsageError(f"{value!r} is not a path for the {setting}. Name {remedy}.") from error
    except OSError as error:
        raise UsageError(f"the working directory is gone ({error}). Go to another.") from error


def _database(task: str, path: Path) -> Path | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise UsageError(f"{path} is a link to a file that does not exist. Fix it.") from None
        if task in ("init", PRAGMA, PLAN, RESTORE):
            return _followed(path)
        return None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise UsageError(f"{path} is {kind}. Name a file, with --database PATH.")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{path} may not be read by this user. Run as the user who owns it.")
    return _followed(path)


def _check_name(database: Path) -> None:
    """Raise OSError where the names of the files that SQLite keeps beside it would be too long."""
    try:
        os.lstat(f"{database}{max(COMPANIONS, key=len)}")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise


def _followed(path: Path) -> Path:
    return Path(os.path.realpath(path))  # resolve() raises on circular links


FORMAT_WITH_DESC = 4
"""The oldest schema format that works: in a file of an older one SQLite ignores DESC in an index
(SQLite documentation, "Database File Format", section "Schema format number")."""


def check_format(task: str, database: Place) -> None:
    """Raise UsageError when the file cannot hold the declared indexes. Only for a process without a
    connection to it: opening and closing the file here would drop that connection's locks.
    """
    if task == VERIFY or isinstance(database, Address) or not database.exists():
        return
    try:
        with database.open("rb") as file:
            header = file.read(48)
    except OSError:
        return  # the step meets the same error and reports it in full
    number = int.from_bytes(header[44:48], "big")
    if header.startswith(b"SQLite format 3\0") and 0 < number < FORMAT_WITH_DESC:
        raise UsageError(
            f"{database} is a file of schema format {number}, which has no descending"
            f" indexes. Rewrite it once, with:\n    sqlite3 {quote(str(database))} VACUUM\n"
            "Nothing was touched."
        )


def check_database(task: str, database: Place, declared: Declared) -> Seen | None:
    """Read the database, if it can be read. Raises UsageError when it belongs to another
    application, or when `task` is a single step whose prerequisites are missing.
    """
    if task == VERIFY or not (isinstance(database, Address) or database.exists()):
        return None
    needed = None
    try:
        with closing(connect(database, "ro", declared.settings)) as connection:
            seen = see(database, connection)
            if isinstance(database, Address) and unsettled(connection, declared.settings):
                raise UsageError(f"{database}: {NOT_ENFORCED}. Nothing was touched.")
            if task not in ("init", PRAGMA, PLAN):
                needed = step_needed(connection, declared, seen.schema, task)
    except NoLeaderError as error:
        cause = explain(error, database, task)
        raise UsageError(
            f"{database} cannot be asked ({error}): {cause.cause}; {cause.remedy}."
        ) from error
    except NOT_READABLE:
        return None  # the step meets the same error and reports it in full, or tries again
    if found := of_another_application(declared, seen.schema):
        raise UsageError(
            f"{database} belongs to another application: {on_one_line(found)} Name another file,"
            " with --database PATH; nothing was touched."
        )
    if needed:
        first = here(out_of_order(task, needed), database, None, declared.own)
        raise UsageError(f"{first}; nothing was touched.")
    return seen
