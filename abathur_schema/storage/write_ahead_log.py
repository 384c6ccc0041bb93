"""The write-ahead log of a database: how much of it waits for a checkpoint, and who holds it."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .processes import lock_holders

HEADER = struct.Struct("@IIIBBHI")
"""The beginning of the `-shm`: version, unused, change counter, whether it is initialized, byte
order of checksums, page size, frames in the log (SQLite documentation, "WAL-mode File Format",
section "The WAL-Index File Format"), in the byte order of the machine."""

VERSION = 3007000
COPIED_AT, READ_MARKS_AT, WRITER_AT, READERS_AT = 96, 100, 120, 123
"""Where the `-shm` has the number of frames copied into the database, five read marks, and the
bytes that a writer and the readers of each mark lock."""


class WriteAheadLog(NamedTuple):
    """`pages` are in the log, of which `waiting` are not in the database file yet. `readers` are
    the ids of processes that read an older state, so that the log cannot start anew; `writer` is
    that of the one that is writing.
    """

    bytes: int
    pages: int
    waiting: int
    readers: tuple[int, ...] = ()
    writer: int | None = None


def write_ahead_log(database: Path) -> WriteAheadLog:
    """The log as it is now. Only for a process without a connection to the database: closing the
    `-shm` here would drop that connection's locks (POSIX, `fcntl`).
    """
    log = database.with_name(f"{database.name}-wal")
    try:
        size = log.stat().st_size
    except OSError:  # there is none
        return WriteAheadLog(0, 0, 0)
    try:
        with database.with_name(f"{database.name}-shm").open("rb") as file:
            content = file.read(READERS_AT + 5)
            version, _, _, is_ready, _, _, frames = HEADER.unpack_from(content)
            if version == VERSION and is_ready:
                (copied,) = struct.unpack_from("@I", content, COPIED_AT)
                marks = struct.unpack_from("@5I", content, READ_MARKS_AT)
                # The first is of those that read the file alone: they hold all that waits.
                older = [READERS_AT] if copied < frames else []
                older += [READERS_AT + n for n, mark in enumerate(marks) if n and mark < frames]
                readers = tuple(dict.fromkeys(lock_holders(file, older)))
                writer = next(lock_holders(file, [WRITER_AT]), None)
                return WriteAheadLog(size, frames, max(0, frames - copied), readers, writer)
    except (OSError, struct.error):
        pass  # nobody has it open, or it may not be read: then the log itself tells the most
    frames = _frames(log, size)
    return WriteAheadLog(size, frames, frames)


def _frames(log: Path, size: int) -> int:
    """How many frames a log has room for (section "The WAL File Format")."""
    with suppress(OSError, struct.error), log.open("rb") as file:
        (page,) = struct.unpack_from(">I", file.read(12), 8)
        return max(0, (size - 32) // (24 + int(page)))
    return 0
