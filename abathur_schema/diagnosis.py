"""From an error to its likely cause and remedy: the failures that users meet, explained.

Errors are recognized by class: SQLite's by the name of its result code, those of the operating
system by errno, ours by their class. Never by a part of a message that could be a path or a name.
"""

import errno
import shutil
import sqlite3
import traceback
from pathlib import Path
from shlex import quote
from string import Template
from typing import NamedTuple

from . import errors
from .place import Address, Place


def trace(error: BaseException) -> str:
    """The stack trace of an error, as Python prints it."""
    return "".join(traceback.format_exception(error))


class Cause(NamedTuple):
    """A likely cause and what to do about it; `may_pass` if a second attempt may help. In a remedy,
    `$database` and `$folder` stand for the paths of the file and its folder, `$again` for the
    command that failed.
    """

    cause: str
    remedy: str
    may_pass: bool = False


FULL = Cause(
    "the disk that holds the database is full",
    "make room on it (`df -h $folder` shows how much there is), then run $again again: what was"
    " done stays done",
)
LOCKED = Cause(
    "another process holds the lock on the database, for longer than busy_timeout allows",
    "wait for it, or ask whoever runs it to stop it (`fuser -v $database` names it), then run"
    " $again again",
    may_pass=True,
)
NO_ACCESS = Cause(
    "this user may not open the file, or may not create the -wal and -shm files beside it",
    "ask the owner (`ls -ld $folder $database` names them) for write permission on the file and its"
    " folder, or run $again as that user",
)
READ_ONLY = Cause(
    "this user may not write the database file or its folder, or they are mounted read-only",
    "ask the owner (`ls -ld $folder $database` names them) for write permission on the file and its"
    " folder (WAL creates files beside it), or run $again as that user",
)
LEFT_OPEN = Cause(
    "the application was stopped while writing and left a -journal, which must be rolled back"
    " before anyone can read",
    "open it once for writing, by `invoke pragma` or by the application itself, then run $again"
    " again",
)
NO_DATABASE = Cause(
    "the file is not an SQLite database (or is encrypted, or its first page is damaged)",
    "name another path; or, if it was a database, put a kept state back (`invoke restore` lists"
    " them); or, if its owner does not need it, move it away"
    " (`mv $database $database.moved-away`) and run `invoke init`",
)
CORRUPT = Cause(
    "the database is corrupt",
    "ask its owner whether to put a kept state back (`invoke restore` lists them), or to save what"
    " can be read (`sqlite3 $database .recover > recovered.sql`)",
)
HIDING_NAME = Cause(
    "a table or view has the name of one of SQLite's functions, and would answer in its place",
    "ask who made it (`sqlite3 $database .schema` shows it); rename it (ALTER TABLE ... RENAME TO"
    " ...), or drop the view and recreate it under another name; if nobody knows it, trust nothing"
    " else in the file",
)
TOO_NEW = Cause(
    "the file was written by an SQLite much newer than this one, or its header is damaged",
    "use a Python with a newer SQLite (`python3 -c 'import sqlite3; print(sqlite3.sqlite_version)'`"
    " prints that of one), or put a kept state back (`invoke restore` lists them)",
)
DISK_FAILED = Cause(
    "the disk or the file system failed while reading or writing",
    "ask whoever runs this machine to check the disk (`dmesg`, `df -h $folder`) before anything"
    " else",
)
NO_WAL = Cause(
    "the file system does not support WAL, which needs memory shared between processes; network"
    " file systems do not",
    "put the database on a local disk (`df -hT $folder` shows what this one is; SQLite"
    ' documentation, "Write-Ahead Logging")',
)
OTHER_FORM = Cause(
    "the database has objects of these names in another form, made by something else",
    "ask who made them (`sqlite3 $database .schema` shows them); rename or drop them, or start with"
    " a new database, then run $again again; this step changed nothing",
)
BROKEN_ROWS = Cause(
    "rows that older applications wrote violate a declared constraint",
    "correct the rows that the message names (change or delete them in an SQL shell,"
    " `sqlite3 $database`, or with the application that wrote them), then run $again again; this"
    " step changed nothing",
)
NO_UPGRADE = Cause(
    "the file is wrong, or a view or trigger of the application blocks it: SQLite renames something"
    " only if it can parse everything that mentions it",
    "correct the file, or drop the view or trigger that the message names"
    " (`sqlite3 $database .schema` shows it), run $again again, and recreate it; this step changed"
    " nothing",
)
OWN_FUNCTION = Cause(
    "an index, a column, a view or a trigger of the application needs a function, a collation or a"
    " module that only the application has",
    "drop what the message names (`sqlite3 $database .schema` shows it), run $again again, and have"
    " the application recreate it; this step changed nothing",
)
NO_KEY = Cause(
    "a foreign key of the application refers to columns that are no key of the other table, so that"
    " SQLite cannot remove rows there",
    "ask who made it (`sqlite3 $database .schema` shows it) to give these columns a UNIQUE index,"
    " or drop the table that the message names first, then run $again again",
)
ORPHANED = Cause(
    "these rows find their parents only by the present type or collation of the key",
    "give them exactly the values of the parent's key (`sqlite3 $database`), then run $again again;"
    " this step changed nothing",
)
NO_COPY = Cause(
    "the reports folder has no room for a copy of the database, or is not writable",
    "make room, or run $again with --reports DIR for another folder, or, if you have a copy of your"
    " own, with --no-backup (init, core, memory, vacuum); nothing was changed",
)
HELD = Cause(
    "another process reads an older state of the database, or writes",
    "ask whoever runs it to end that (`invoke status` names it), then run"
    " `invoke checkpoint --truncate` again",
)
NO_BACKUP = Cause(
    "the place of the backup has no room, or this user may not write there",
    "make room there, or name another folder (`invoke backup FOLDER`); the database is as it was",
)
PLANTED = Cause(
    "the -journal beside the database was not written by SQLite: somebody crafted it to have a file"
    " deleted",
    "ask its owner where it came from; then remove it (`rm $database-journal`), and trust nothing"
    " else that came with it",
)
STOPPED = Cause("it was asked to stop", "run $again again to finish")
NO_LEADER = Cause(
    "no node of the cluster answers, or fewer than half of them run, so that they have no leader",
    "start the nodes (`curl http://HOST:PORT/readyz` asks one), then run $again again",
    may_pass=True,
)
UNKNOWN_OUTCOME = Cause(
    "the node that had the request died, or could not be reached any more",
    "run $again again: it looks at what is there",
)
CONFLICT = Cause(
    "somebody else changed the schema or these rows at the same time",
    "run $again again",
    may_pass=True,
)
NOT_THERE = Cause(
    "a cluster cannot do this as a file can",
    "upgrade a copy and load that, while no application writes: `mkdir upgraded`,"
    " `invoke backup --file upgraded/database.db --database $database`,"
    " `invoke init --database upgraded/database.db`,"
    " `invoke restore upgraded --database $database`",
)
NOT_PERMITTED = Cause(
    "this user may not write there",
    "ask the owner of the folder (`ls -ld $folder` names them) for write permission, or run $again"
    " as that user",
)
MOUNTED_READ_ONLY = Cause(
    "the file system is mounted read-only",
    "choose a path on another one, or ask whoever runs this machine to mount it writable"
    " (`findmnt -T $folder` names it)",
)
UNKNOWN = Cause(
    "not a known one", "read the error and the report; if they do not help, ask a maintainer"
)

NOT_OPENED = (LOCKED, NO_ACCESS, READ_ONLY, LEFT_OPEN, NO_LEADER)
"""The causes that say nothing about the content of the database."""

BY_WORDS = {
    "database or disk is full": FULL,
    "database is locked": LOCKED,
    "database table is locked": LOCKED,
    "database schema is locked": LOCKED,
    "attempt to write a readonly database": READ_ONLY,
    "unable to open database file": NO_ACCESS,
    "file is not a database": NO_DATABASE,
    "database disk image is malformed": CORRUPT,
    "malformed database schema": CORRUPT,
    "Could not decode to UTF-8": CORRUPT,
    "unsupported file format": TOO_NEW,
    "disk I/O error": DISK_FAILED,
    "no such function": OWN_FUNCTION,
    "unknown function": OWN_FUNCTION,
    "no such collation sequence": OWN_FUNCTION,
    "no such module": OWN_FUNCTION,
    "foreign key mismatch": NO_KEY,
    "'json_each' is not a function": HIDING_NAME,
    "'json_tree' is not a function": HIDING_NAME,
}
"""Keyed by the beginning of SQLite's message (SQLite documentation, "Result and Error Codes")."""

BY_ERRNO = {
    errno.EACCES: NOT_PERMITTED,
    errno.EPERM: NOT_PERMITTED,
    errno.EROFS: MOUNTED_READ_ONLY,
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EIO: DISK_FAILED,
}

BY_CLASS = {
    errors.ApplicationNeededError: OWN_FUNCTION,
    errors.BatchError: NOT_THERE,
    errors.BrokenRowsError: BROKEN_ROWS,
    errors.CannotReconcileError: OTHER_FORM,
    errors.ConflictError: CONFLICT,
    errors.NoLeaderError: NO_LEADER,
    errors.UnknownOutcomeError: UNKNOWN_OUTCOME,
    errors.NoBackupError: NO_BACKUP,
    errors.NoCopyError: NO_COPY,
    errors.OrphanedRowsError: ORPHANED,
    errors.UpgradeError: NO_UPGRADE,
    errors.ForeignJournalError: PLANTED,
    errors.HeldError: HELD,
    errors.HidingNameError: HIDING_NAME,
    errors.WalRefusedError: NO_WAL,
    errors.Interrupted: STOPPED,
}


def explain(error: BaseException, database: Place, task: str = "") -> Cause:
    """The likely cause of `error` on `database` and its remedy, with the paths and the `task` (with
    its arguments, if it has any) filled in.
    """
    cause = recognize(error, database)
    folder = Path() if isinstance(database, Address) else database.parent
    words = {"database": quote(str(database)), "folder": quote(str(folder))}
    words["again"] = f"`invoke {task}`" if task else "the same command"
    return cause._replace(remedy=Template(cause.remedy).safe_substitute(words))


def recognize(error: BaseException, database: Place) -> Cause:
    """The likely cause of `error` on `database`, one of those above."""
    cause = _cause(error)
    if isinstance(database, Address):
        return cause
    # On a full disk SQLite cannot extend the -shm file, and reports just an I/O error.
    if cause is DISK_FAILED and _is_full(database.parent):
        return FULL
    if cause is READ_ONLY and database.with_name(f"{database.name}-journal").exists():
        return LEFT_OPEN
    return cause


def may_pass(error: BaseException) -> bool:
    """Whether a second attempt may help."""
    return _cause(error).may_pass


def _cause(error: BaseException) -> Cause:
    if isinstance(error, UnicodeDecodeError):  # SQLite's message quotes the damaged name
        return CORRUPT
    if isinstance(error, (errors.NoBackupError, errors.NoCopyError)):
        inner = error.__cause__
        # A copy is a new file: unless SQLite cannot write it, it speaks of the database.
        if isinstance(inner, sqlite3.Error):
            found = _cause(inner)
            if found not in (FULL, DISK_FAILED):
                return found
    if type(error) in BY_CLASS:
        return BY_CLASS[type(error)]
    if isinstance(error, sqlite3.Error):
        message = str(error)
        known = (cause for words, cause in BY_WORDS.items() if message.startswith(words))
        return next(known, UNKNOWN)
    if isinstance(error, OSError):
        return BY_ERRNO.get(error.errno or 0, UNKNOWN)
    return UNKNOWN


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < 64 * 1024
    except OSError:
        return False
