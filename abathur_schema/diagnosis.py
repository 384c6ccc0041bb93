"""From an error to its likely cause and remedy: the failures that users meet, explained.

Errors are recognized by class: SQLite's by the name of its result code, those of the operating
system by errno, ours by their class. Never by a part of a message that could be a path or a name.
"""

import errno
import re
import shutil
import sqlite3
import traceback
from pathlib import Path
from string import Template

from . import causes, errors, place
from .place import Address, Place
from .wording import quote


def trace(error: BaseException) -> str:
    """The stack trace of an error, as Python prints it."""
    return "".join(traceback.format_exception(error))


BY_WORDS = {
    "database or disk is full": causes.FULL,
    "database is locked": causes.LOCKED,
    "database table is locked": causes.LOCKED,
    "database schema is locked": causes.LOCKED,
    "attempt to write a readonly database": causes.READ_ONLY,
    "unable to open database file": causes.NO_ACCESS,
    "file is not a database": causes.NO_DATABASE,
    "database disk image is malformed": causes.CORRUPT,
    "malformed database schema": causes.CORRUPT,
    "Could not decode to UTF-8": causes.CORRUPT,
    "unsupported file format": causes.TOO_NEW,
    "disk I/O error": causes.DISK_FAILED,
    "no such function": causes.OWN_FUNCTION,
    "unknown function": causes.OWN_FUNCTION,
    "no such collation sequence": causes.OWN_FUNCTION,
    "no such module": causes.OWN_FUNCTION,
    "error in index": causes.OWN_FUNCTION,
    "foreign key mismatch": causes.NO_KEY,
    "'json_each' is not a function": causes.HIDING_NAME,
    "'json_tree' is not a function": causes.HIDING_NAME,
}
"""Keyed by the beginning of SQLite's message (SQLite documentation, "Result and Error Codes")."""

BY_SCHEMA_WORDS = {
    r"(view|trigger) .* cannot reference objects in database .*": causes.ATTACHED,
    r'near ".*": syntax error|unrecognized token: ".*"|incomplete input': causes.NOT_PARSED,
}
"""Keyed by what follows the name in "malformed database schema (name) - "."""

BY_ERRNO = {
    errno.EACCES: causes.NOT_PERMITTED,
    errno.EPERM: causes.NOT_PERMITTED,
    errno.EROFS: causes.MOUNTED_READ_ONLY,
    errno.ENOSPC: causes.FULL,
    errno.EDQUOT: causes.FULL,
    errno.EIO: causes.DISK_FAILED,
}

BY_CLASS = {
    errors.ApplicationNeededError: causes.OWN_FUNCTION,
    errors.BatchError: causes.NOT_THERE,
    errors.BrokenRowsError: causes.BROKEN_ROWS,
    errors.CannotReconcileError: causes.OTHER_FORM,
    errors.ConflictError: causes.CONFLICT,
    errors.NoLeaderError: causes.NO_LEADER,
    errors.UnknownOutcomeError: causes.UNKNOWN_OUTCOME,
    errors.NoBackupError: causes.NO_BACKUP,
    errors.NoCopyError: causes.NO_COPY,
    errors.OrphanedRowsError: causes.ORPHANED,
    errors.UpgradeError: causes.NO_UPGRADE,
    errors.ForeignJournalError: causes.PLANTED,
    errors.HeldError: causes.HELD,
    errors.HidingNameError: causes.HIDING_NAME,
    errors.NoUtf8Error: causes.NO_UTF8,
    errors.WalRefusedError: causes.NO_WAL,
    errors.Interrupted: causes.STOPPED,
}


def explain(
    error: BaseException, database: Place, task: str = "", options: str = ""
) -> causes.Cause:
    """The likely cause of `error` on `database` and its remedy, with the paths and the `task` (with
    its arguments, if it has any) filled in. The commands have `options`, or else the database.
    """
    cause = recognize(error, database)
    said = filled(cause.remedy, database, task)
    options = options or f"--database {quote(str(database))}"
    return cause._replace(remedy=with_options(said, options, task))


def filled(remedy: str, database: Place, task: str = "") -> str:
    """A remedy with the paths and the `task` filled in."""
    folder = Path() if isinstance(database, Address) else database.parent
    words = {"database": quote(str(database)), "folder": quote(str(folder))}
    words["again"] = f"`invoke {task}`" if task else "the same command"
    return Template(remedy).safe_substitute(words)


def with_options(text: str, options: str, task: str = "") -> str:
    """A text in which `options` follow each `invoke TASK` between backticks that has no path of its
    own (but a word such as FOLDER, for what is to be named), and the `task`, whatever its arguments
    are.
    """
    return re.sub(
        rf"`invoke ({re.escape(task)}|[a-z-]+(?: (?:--[a-z-]+|[A-Z,]+))*)`",
        lambda match: f"`invoke {match[1]} {options}`",
        text,
    )


def options_for(database: Place, reports: Path | None, own: Path | None) -> str:
    """The options by which another command works on the same, in the same way."""
    given = {"--database": database, "--reports": reports, "--schema": own}
    return " ".join(f"{name} {quote(str(path))}" for name, path in given.items() if path)


def here(text: str, database: Place, reports: Path | None, own: Path | None, task: str = "") -> str:
    """The text for who is in this folder, where a command may take the paths by itself."""
    others = place.configured, database != Path(place.DATABASE).absolute(), reports, own
    return with_options(text, options_for(database, reports, own), task) if any(others) else text


def recognize(error: BaseException, database: Place) -> causes.Cause:
    """The likely cause of `error` on `database`, one of those above."""
    cause = _cause(error)
    if isinstance(database, Address):
        return cause
    # On a full disk SQLite cannot extend the -shm file, and reports just an I/O error.
    if cause is causes.DISK_FAILED and _is_full(database.parent):
        return causes.FULL
    if cause is causes.READ_ONLY and database.with_name(f"{database.name}-journal").exists():
        return causes.LEFT_OPEN
    return cause


def may_pass(error: BaseException) -> bool:
    """Whether a second attempt may help."""
    return _cause(error).may_pass


def _cause(error: BaseException) -> causes.Cause:
    if isinstance(error, UnicodeDecodeError):  # SQLite's message quotes the damaged name
        return causes.CORRUPT
    if isinstance(error, (errors.NoBackupError, errors.NoCopyError)):
        inner = error.__cause__
        # A copy is a new file: unless SQLite cannot write it, it speaks of the database.
        if isinstance(inner, sqlite3.Error):
            found = _cause(inner)
            if found not in (causes.FULL, causes.DISK_FAILED):
                return found
    if type(error) in BY_CLASS:
        return BY_CLASS[type(error)]
    if isinstance(error, sqlite3.Error):
        message = str(error)
        for words, cause in BY_SCHEMA_WORDS.items():
            if re.fullmatch(rf"malformed database schema \(.*?\) - ({words})", message, re.DOTALL):
                return cause
        known = (cause for words, cause in BY_WORDS.items() if message.startswith(words))
        return next(known, causes.UNKNOWN)
    if isinstance(error, OSError):
        return BY_ERRNO.get(error.errno or 0, causes.UNKNOWN)
    return causes.UNKNOWN


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < 64 * 1024
    except OSError:
        return False
