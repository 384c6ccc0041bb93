"""`restore`: put a preserved state back, completely or not at all, and keep what it replaces.

The copy is made and verified beside the database, then renamed into place. Until then nobody else
may have the database open: they would go on writing to a file without a name.
"""

import json
import os
import re
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path

from ..causes import DISK_FAILED, FULL, NO_UTF8, NOT_OPENED
from ..declared.declaration import RESTORE, Declared
from ..diagnosis import recognize
from ..errors import StepError, UsageError
from ..interruption import reason, stop_if_asked, watched
from ..place import Place
from ..planning.statement import Attempt, Statement, Step
from ..progress import Progress
from ..record.environment import mounts
from ..record.preserved import keep_replaced
from ..record.report import AGENT
from ..record.run import Run
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.scratch import LARGEST_INT, guard
from ..schema.stand_ins import is_lacking, with_stand_ins
from ..storage.connection import COMPANIONS, NOT_READABLE, connect, longest_time, read_back, size_of
from ..storage.durable_files import DATABASE_MODE, FILE_MODE, create, temporary_beside
from ..storage.processes import named, processes_with
from .replacement import alone, in_use, opened, remove, swap

CHUNK = 1 << 20
"""Bytes copied at a time; Ctrl-C works in between."""


def check_state(state: object, database: Place) -> Path:
    """The folder of a preserved state, given by the user as such or as the `database.db` in it.

    Raises UsageError when it is not one, or when it is the place of `database`.
    """
    if not isinstance(state, str) or not state or "\0" in state:
        raise UsageError(f"{state!r} is not a path of a preserved state. Name its folder.")
    path = Path(state).absolute()
    folder = path.parent if path.name == "database.db" else path
    copy = folder / "database.db"
    try:
        is_there = stat.S_ISREG(copy.stat().st_mode)
        may_read = os.access(copy, os.R_OK)
    except PermissionError:
        is_there, may_read = True, False
    except (OSError, ValueError):
        is_there = may_read = False
    if not is_there:
        raise UsageError(
            f"{path} is not a preserved state: there is no {copy}. Name the folder that a report"
            " calls `preserved_state` or `copy_before`."
        )
    if not may_read:
        raise UsageError(f"{copy} may not be read by this user. Run as the user who owns it.")
    if isinstance(database, Path) and database.exists() and copy.samefile(database):
        raise UsageError(f"{copy} is the database itself. Name the database with --database PATH.")
    return folder


def restore(run: Run, state: Path, folder: Path | None, progress: Progress) -> Step:
    """Replace `run.file` by the database of `state`; the replaced files are kept in `folder`.
    Without one it is a rehearsal: the copy is made and proven, and nothing is replaced. Raises
    UsageError when `state` is not usable or the database is open elsewhere.
    """
    # First: what a killed run left may be a second name.
    staged = temporary_beside(run.file, "restore-")
    if run.file.exists() and run.file.stat().st_nlink > 1:
        raise UsageError(
            f"{run.file} has more than one name (hard links); the others would keep the old"
            " file. Remove them first; nothing was touched."
        )
    if any(point == str(run.file) for point, _ in mounts()):
        raise UsageError(
            f"{run.file} is itself a mount point, such as a file mounted into a container,"
            " and no other file can take its name. Restore it where it is mounted from, or name"
            " another file and copy that; nothing was touched."
        )
    if not run.file.parent.is_dir():
        raise UsageError(f"there is no folder {run.file.parent}. Make it, or name another file.")
    for path in (run.file.with_name(run.file.name + suffix) for suffix in ("", *COMPANIONS)):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            if os.statvfs(path).f_flag & os.ST_RDONLY:
                raise UsageError(
                    f"{path} is on a file system that is mounted read-only (`findmnt -T {path}`"
                    " names it). Restore to another one; nothing was touched."
                )
            raise UsageError(
                f"{path} may not be read and written by this user. Run as the user who owns it;"
                " nothing was touched."
            )
    started = time.perf_counter()
    attempt = Attempt()
    statement = replaced_by(state, run.file)
    try:
        progress.now(f"{RESTORE}: copying {state}")
        stage(state, staged, run.file)
        progress.now(f"{RESTORE}: checking the copy")
        restored = prove(staged, state, run.declared, attempt.notes)
        if folder is None:
            attempt.notes += _rehearsed(run.file)
            run.live = read_back(run.file, run.declared.settings)
            return Step(RESTORE, [attempt], (time.perf_counter() - started) * 1000)
        # The file stays open until it has lost its name: closing it would release the lock.
        with opened(run.file) as old, alone(run.file, run.declared.settings) as mode:
            left = [] if old else _left_without_it(run.file)
            if old or left:
                progress.now(f"{RESTORE}: keeping {run.file}")
                keep_replaced(run, folder, old, in_wal_mode=mode == "wal")
                attempt.notes += (f"{path.name} was there without a database" for path in left)
            if not old:
                run.made.append(run.file)
            stop_if_asked()
            # Who comes in between waits for the lock, and then learns from SQLite that the file has
            # lost its name (SQLITE_READONLY_DBMOVED). An unreadable file has no lock.
            others = processes_with(run.file) if run.copy and mode is None else []
            if others:
                raise UsageError(in_use(run.file, f" ({', '.join(map(named, others))})"))
            attempt.running = statement
            swap(staged, run.file, is_new=old is None)
        run.live = restored
        attempt.ran.append(statement)
        attempt.running = None
    except UsageError:
        raise
    except Exception as error:  # of any kind: the report tells
        attempt.error = error
    finally:
        with suppress(OSError):  # the next `restore` tries again
            remove(staged)
    return Step(RESTORE, [attempt], (time.perf_counter() - started) * 1000)


def _left_without_it(database: Path) -> list[Path]:
    """The logs that are left of a database whose file is gone: they may have its last writes."""
    paths = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-journal"))
    return [path for path in paths if path.exists() and path.stat().st_size]


def replaced_by(state: Path, place: Place) -> Statement:
    """What a restore does, for its report."""
    sql = f"-- {state / 'database.db'} took the place of {place}"
    return Statement(sql, f"restore {state}", (("databases_restored", str(state)),))


def _rehearsed(database: Path) -> list[str]:
    """What a rehearsal has found."""
    others = processes_with(database) if database.exists() else []
    open_in = f"; first stop {', '.join(map(named, others))}" if others else ""
    return [f"a rehearsal: the state is intact and would take the place of {database}{open_in}"]


def stage(state: Path, staged: Path, database: Path) -> None:
    """Copy the preserved database, and its `-wal` if there is one, to `staged`."""
    remove(staged)  # left by a killed run
    mode = FILE_MODE if database.exists() else DATABASE_MODE
    for suffix in ("", *COMPANIONS):
        source = state / f"database.db{suffix}"
        if source.exists() and suffix != "-shm":
            target = staged.with_name(staged.name + suffix)
            with source.open("rb") as content, os.fdopen(create(target, mode), "wb") as copy:
                while chunk := content.read(CHUNK):
                    stop_if_asked()
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
    if database.exists():
        before = database.stat()
        for owner in (-1, before.st_uid):  # without the right to change the owner, only the group
            with suppress(PermissionError):
                os.chown(staged, owner, before.st_gid)
        staged.chmod(before.st_mode & 0o7777)


def prove(staged: Path, state: Path, declared: Declared, notes: list[str]) -> Schema:
    """The schema of the copy; what could not be proven about it is added to `notes`. Raises
    UsageError unless it is intact and one of ours.
    """
    copy = state / "database.db"
    try:
        with closing(connect(staged, "rw", declared.settings)) as connection:
            size = size_of(staged)
            guard(connection, size)
            with watched([connection], longest_time(size)):
                live = read_schema(connection)
                found = _damage(connection, notes)
    except NOT_READABLE as error:
        stop_if_asked()  # "interrupted" says nothing about the copy either
        if recognize(error, staged) in (*NOT_OPENED, FULL, DISK_FAILED, NO_UTF8):
            raise  # an error that says nothing about the copy
        found, live = reason(error), None
    if found != "ok" or live is None:
        raise UsageError(
            f"{copy} is damaged ({found}), and would be no better in its place. Save what can be"
            f" read: sqlite3 {copy} .recover | sqlite3 NEW (a sqlite3 that answers SQL logic error"
            " has only .dump); nothing was touched."
        )
    if not declared.schema.tables.keys() & live.tables.keys() and not _is_reported(state):
        raise UsageError(
            f"{copy} is not one of ours: it has none of the tables of sql/, and there is no report"
            " beside it; nothing was touched."
        )
    for suffix in COMPANIONS:
        if staged.with_name(staged.name + suffix).exists():
            raise StepError(f"the files beside {copy} could not be merged into it")
    return live


OF_ROWS = re.compile(r"(NULL|NUMERIC|TEXT|non-\w+) value in ")
"""What `integrity_check` says of a row that breaks a constraint. SQLite lets such rows come to be,
and those of a CHECK with time: they are what the state was, and no damage.
"""


def _damage(connection: sqlite3.Connection, notes: list[str]) -> str:
    """The first damage that SQLite finds, or `ok`."""
    connection.execute("PRAGMA ignore_check_constraints = ON")

    def ask(check: str) -> str:
        broken: list[str] = []
        for (line,) in connection.execute(f"PRAGMA {check}({LARGEST_INT})"):
            if not OF_ROWS.match(line):
                notes.extend(f"as the state was: {one}" for one in broken)
                return str(line)
            broken = broken or [line]
        notes.extend(f"as the state was: {one}" for one in broken)
        return "ok"

    try:
        return ask("integrity_check")
    except sqlite3.OperationalError as error:
        if not is_lacking(str(error)):
            raise
        notes.append(
            f"only the application can prove the order and content of some indexes: {error}"
        )
        return with_stand_ins(connection, lambda: ask("quick_check"))


def _is_reported(state: Path) -> bool:
    try:
        report = json.loads((state / "report.json").read_text("utf-8"))
        return bool(report["execution_status"]["agent_name"] == AGENT)
    except (OSError, ValueError, KeyError, TypeError):
        return False
