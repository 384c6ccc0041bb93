"""The causes of the failures that users meet, with what to do about each."""

from typing import NamedTuple


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
    " can be read (`sqlite3 $database .recover > recovered.sql`; a sqlite3 that answers SQL logic"
    " error has only .dump)",
)
HIDING_NAME = Cause(
    "a table or view has the name of one of SQLite's functions, and would answer in its place",
    "ask who made it (`sqlite3 $database .schema` shows it); rename it (ALTER TABLE ... RENAME TO"
    " ...), or drop the view and recreate it under another name; if nobody knows it, trust nothing"
    " else in the file",
)
NO_UTF8 = Cause(
    "an application with another encoding gave a table a name that Python cannot pass to SQLite",
    "have that application rename it (ALTER TABLE ... RENAME TO ...; `sqlite3 $database .tables`"
    " shows it), then run $again again; nothing is lost or damaged",
)
TOO_NEW = Cause(
    "the file was written by an SQLite much newer than this one, or its header is damaged",
    "use a Python with a newer SQLite (`python3 -c 'import sqlite3; print(sqlite3.sqlite_version)'`"
    " prints that of one), or put a kept state back (`invoke restore` lists them)",
)
ATTACHED = Cause(
    "the view or trigger names its database as the application attached it; SQLite can read the"
    " file only where it is attached by that name",
    "start `sqlite3`, run ATTACH '...' AS with the name at the end of the message, drop there what"
    " the message names, run $again again, and have the application recreate it without that name;"
    " nothing is lost or damaged",
)
NOT_PARSED = Cause(
    "this SQLite cannot parse what the message names: a newer one wrote it, or it is damaged",
    TOO_NEW.remedy,
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
    "drop the index, view or trigger that the message names (`sqlite3 $database .schema` shows it),"
    " run $again again, and have the application recreate it; never drop a table for that: ask its"
    " owner to make it do without what only the application has; this step changed nothing",
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
