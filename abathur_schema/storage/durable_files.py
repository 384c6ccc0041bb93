"""Write files that must survive: completely or not at all, and readable only by their owner."""

import errno
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o600
FOLDER_MODE = 0o700
DATABASE_MODE = 0o644
"""A database is for other programs, too: the user's umask decides."""

CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)
"""The errors of a folder that cannot be synced: not every file system supports it, and who may
write into a folder may not be allowed to read it.
"""


def make_folders(folder: Path, mode: int = FOLDER_MODE) -> list[Path]:
    """Create `folder` and its parents, for their owner only, and sync them; or create none of them.
    Returns those it created.
    """
    made = [path for path in (*reversed(folder.parents), folder) if not path.exists()]
    try:
        for path in made:
            path.mkdir(mode=mode, exist_ok=True)
            sync_folder(path.parent)
    except OSError:
        with suppress(OSError):  # not empty, or not created
            for path in reversed(made):
                if path.exists():
                    path.rmdir()
        raise
    return made


def create(path: Path, mode: int = FILE_MODE) -> int:
    """Create a file, open for writing. Raises FileExistsError when the name is in use."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)


def temporary_beside(path: Path, purpose: str = "") -> Path:
    """The name under which this process writes what will be `path`. What killed processes left
    under such names is removed: it may be as large as a database.
    """
    start = f".{path.name}.{purpose}"
    for left in path.parent.glob(f"{glob.escape(start)}*.tmp*"):
        number = left.name.removeprefix(start).partition(".tmp")[0]
        if number.isdecimal() and not _is_running(int(number)):
            left.unlink(missing_ok=True)
    return path.with_name(f"{start}{os.getpid()}.tmp")


def _is_running(process: int) -> bool:
    """Whether another process has this number; in a container, the next run may have it again."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return process != os.getpid()


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name, sync it, and only then rename it. What a killed process
    left under its name is in nobody's way, and what somebody planted there is not removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
    """Sync what was created, renamed or removed in `folder`, where that is supported."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
