"""Files that must survive: written whole or not at all, and readable by their owner only."""

import os
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def make_folders(folder: Path) -> list[Path]:
    """Make `folder` and the folders above it, for their owner only; returns those it made."""
    made = [path for path in (*reversed(folder.parents), folder) if not path.exists()]
    for path in made:
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
    return made


def create(path: Path) -> int:
    """A new file, open for writing. Raises FileExistsError when anything has that name."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)


def write(path: Path, content: str) -> None:
    """Write a new file and see it on the disk; a file that cannot be completed is removed."""
    descriptor = create(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """See on the disk what was made, renamed or removed in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
