"""From an error to its likely cause and what to do: the failures that users meet, explained."""

import shutil
from pathlib import Path
from typing import NamedTuple

from .errors import AbathurError, StepError


class Cause(NamedTuple):
    """`sign` is a part of the message by which the cause is known; `may_pass` when a second try
    can help.
    """

    sign: str
    cause: str
    remedy: str
    may_pass: bool = False


FULL = Cause(
    "disk is full",
    "the disk that holds the database is full",
    "make room on it, then run the same command again: what was done stays done",
)

LOCKED = Cause(
    "is locked",
    "another process holds the lock on the database, for longer than busy_timeout allows",
    "wait for it or stop it (`fuser -v DATABASE` names it), then run the same command again",
    may_pass=True,
)

NO_ACCESS = Cause(
    "unable to open database file",
    "this user may not open the file, or may not make the -wal and -shm files beside it",
    "give the right to write to the file and to its folder, or run as the user who owns them",
)

READ_ONLY = Cause(
    "readonly database",
    "this user may not write the database file or its folder, or they are mounted read-only",
    "give the right to write to the file and to its folder (WAL makes files beside it), or run as"
    " the user who owns them",
)

NOT_OPENED = (LOCKED, NO_ACCESS, READ_ONLY)
"""The causes that say nothing of what is in the database."""

# SQLite's words for its result codes (SQLite documentation, "Result and Error Codes"), then those
# of the operating system. The first sign that fits wins.
CAUSES = (
    FULL,
    LOCKED,
    READ_ONLY,
    NO_ACCESS,
    Cause(
        "file is not a database",
        "the file is no SQLite database (or is encrypted, or its first page is damaged)",
        "name another path, or move the file away; if it was a database, bring back a copy",
    ),
    Cause(
        "malformed",
        "the database is corrupt",
        "bring back a copy, or save what can be read: sqlite3 DATABASE .recover | sqlite3 NEW",
    ),
    Cause(
        "unsupported file format",
        "the file was written by an SQLite much newer than this one, or its header is damaged",
        "use a newer SQLite, or bring back a copy",
    ),
    Cause(
        "disk I/O error",
        "the disk or the file system failed while reading or writing",
        "look at the disk (dmesg, free space, network mounts) before anything else",
    ),
    Cause(
        "journal_mode stays",
        "the file system cannot do WAL, which needs memory shared between processes; network file"
        " systems cannot",
        'put the database on a local disk (SQLite documentation, "Write-Ahead Logging")',
    ),
    Cause(
        "declared form",
        "the database has objects of these names in another form, made by something else",
        "rename or drop what is in the way, or start with a new database; nothing was changed",
    ),
    Cause(
        "Permission denied",
        "this user may not write there",
        "give the right to write to the folder, or run as the user who owns it",
    ),
    Cause(
        "Read-only file system",
        "the file system is mounted read-only",
        "choose a path on another one, or mount it writable",
    ),
    Cause(
        "No space left on device",
        FULL.cause,
        FULL.remedy,
    ),
)

UNKNOWN = Cause("", "not one of those that are known here", "read the error, and the report")


def explain(error: BaseException, database: Path) -> Cause:
    """The likely cause of `error` on `database`."""
    message = str(error)
    found = next((cause for cause in CAUSES if cause.sign in message), UNKNOWN)
    # On a full disk SQLite cannot grow the -shm file, and says only that I/O failed.
    if found.sign == "disk I/O error" and _is_full(database.parent):
        return FULL
    return found


def may_pass(error: BaseException) -> bool:
    """Whether a second try can help."""
    if isinstance(error, AbathurError) and not isinstance(error, StepError):
        return False
    return any(cause.may_pass and cause.sign in str(error) for cause in CAUSES)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < 64 * 1024
    except OSError:
        return False
