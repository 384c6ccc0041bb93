"""Files that must survive: written whole or not at all, and readable by their owner only."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o600
FOLDER_MODE = 0o700

CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)
"""What a folder says that cannot be synced at all: not every file system can, and who may write in
it may perhaps not read it."""


def make_folders(folder: Path, mode: int = FOLDER_MODE) -> list[Path]:
    """Make `folder` and the folders above it, for their owner only, and see them on the disk, or
    make none; returns those it made.
    """
    made = [path for path in (*reversed(folder.parents), folder) if not path.exists()]
    try:
        for path in made:
            path.mkdir(mode=mode, exist_ok=True)
            sync_folder(path.parent)
    except OSError:
        with suppress(OSError):  # something is in it, or it was not made
            for path in reversed(made):
                if path.exists():
                    path.rmdir()
        raise
    return made


def create(path: Path) -> int:
    """A new file, open for writing. Raises FileExistsError when anything has that name."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is written beside its place, seen on the disk, and only then put there."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = create(temporary)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """See on the disk what was made, renamed or removed in `folder`, where it can be synced."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
