"""Where a run took place: versions, operating system, file system."""

import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import invoke

from ..place import Address, Place


def environment(task: str, database: Place) -> dict[str, str]:
    """What the report and `escalation.md` say about the machine."""
    system = os.uname()
    return {
        "task": task,
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "invoke": invoke.__version__,
        "sqlite_utils": version("sqlite-utils"),
        "os": " ".join((system.sysname, system.release, system.machine)),
        "file_system": "none: a cluster"
        if isinstance(database, Address)
        else file_system(database.parent),
    }


def file_system(folder: Path) -> str:
    """The type of the file system of `folder`, where the operating system reports it (Linux)."""
    path = os.path.realpath(folder)
    best = ("", "unknown")
    for point, kind in mounts():
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def mounts() -> Iterator[tuple[str, str]]:
    """The mount points and their file system types, where the operating system reports them."""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, mounted, kind, *_ = line.split(" ")
        yield re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), mounted), kind
