"""The file of a report, reserved before the task runs."""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from ..errors import UsageError
from ..storage.durable_files import create, make_folders, sync_folder

ROOM = 64 * 1024
"""Bytes reserved for the report before anything is touched, so that it can be written even if the
disk fills up while the task runs."""

BEFORE = "before"
REPLACED = "replaced"
"""The suffixes of the folders beside the report: for the state before rows were rewritten, and for
what `restore` replaced; the folder of a failure has none."""


class Draft:
    """A report's file: its name and disk space are reserved before the task runs.

    `stem` is the time `now` (UTC, with microseconds) and the task; if another run has that name, or
    left a state under it without a report, the next free microsecond. As a context manager it
    leaves no trace unless the report was written. Raises UsageError when the folder is not
    writable.
    """

    def __init__(self, folder: Path, task: str, now: datetime) -> None:
        self._made: list[Path] = []
        try:
            self._made = make_folders(folder)
            while True:
                self.stem = f"{now:%Y%m%dT%H%M%S.%fZ}-{task}"
                self.path = folder / f"{self.stem}.json"
                self._temporary = folder / f".{self.stem}.json.tmp"
                try:
                    descriptor = create(self._temporary)
                except FileExistsError:
                    now += timedelta(microseconds=1)
                    continue
                self._file = os.fdopen(descriptor, "wb")
                places = (self.path, *map(self.folder, ("", BEFORE, REPLACED)))
                if not any(place.exists() for place in places):
                    break
                self._drop()
                now += timedelta(microseconds=1)
            self._file.write(bytes(ROOM))
            self._file.flush()
        except OSError as error:
            self.discard()
            raise UsageError(
                f"reports cannot be written to {folder}: {error.strerror}."
                " Name a folder that can be written, with --reports DIR; nothing was touched."
            ) from error

    def folder(self, suffix: str = "") -> Path:
        """The folder beside the report that keeps a state of the database."""
        return self.path.with_name("-".join(filter(None, (self.stem, suffix))))

    def write(self, content: str) -> None:
        """Write the report, completely or not at all. Raises OSError."""
        try:
            self._file.seek(0)
            self._file.write(content.encode("utf-8", "surrogateescape"))
            self._file.truncate()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._temporary.rename(self.path)
            with suppress(OSError):  # it exists, though a power loss might lose it
                sync_folder(self.path.parent)
        finally:
            self._drop()

    def discard(self) -> None:
        """Leave no trace, unless the report was written."""
        if hasattr(self, "_file"):
            self._drop()
        with suppress(OSError):  # it is not empty
            for folder in reversed(self._made):
                folder.rmdir()

    def __enter__(self) -> "Draft":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def _drop(self) -> None:
        with suppress(OSError):  # a failed write is reported when it is tried again
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink()
