"""Other processes that use a database, where the operating system shows them (Linux, with this
user's permissions).
"""

import fcntl
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

LONGEST = 60
"""The characters of a command line that are shown."""


def processes_with(*paths: Path) -> list[int]:
    """The ids of other processes that have one of these files open."""
    wanted = []
    for path in paths:
        with suppress(OSError):
            wanted.append(path.stat())
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid():
            with suppress(OSError):
                opened = (descriptor.stat() for descriptor in (process / "fd").iterdir())
                if any(os.path.samestat(one, other) for one in opened for other in wanted):
                    found.append(int(process.name))
    return sorted(found)


def named(process: int) -> str:
    """A process by its id and its command."""
    with suppress(OSError):
        words = Path("/proc", str(process), "cmdline").read_bytes().split(b"\0")
        command = b" ".join(words).decode("utf-8", "replace").strip()
        if command:
            more = "..." if len(command) > LONGEST else ""
            return f"process {process} ({command[:LONGEST]}{more})"
    return f"process {process}"


def lock_holders(file: BinaryIO, places: Sequence[int]) -> Iterator[int]:
    """The ids of other processes that hold a lock on one of these bytes of an open file (POSIX,
    `fcntl`, F_GETLK).
    """
    if sys.platform != "linux":  # whose `struct flock` this is
        return
    for place in places:
        asked = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        with suppress(OSError):
            kind, _, _, _, process = struct.unpack(
                "@hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, asked)
            )
            if kind != fcntl.F_UNLCK and process > 0:
                yield process
