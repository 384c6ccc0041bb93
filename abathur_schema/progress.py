"""Progress on a terminal: the current activity, shown once it has taken more than a second."""

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from .wording import on_one_line


class Progress:
    """Writes to `stream` if that is a terminal; silent otherwise.

    A separate thread writes, because one call into SQLite may take minutes.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._label = ""
        self._how_far: Callable[[], str] = str
        self._since = 0.0
        self._shown = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_shown(self) -> bool:
        """Whether anybody can see it."""
        return self._stream is not None and self._stream.isatty()

    def now(self, label: str, how_far: Callable[[], str] = str) -> None:
        """Switch to the activity `label`; `how_far` returns how much of it is done."""
        self._label, self._how_far, self._since = label, how_far, time.monotonic()
        if self._thread is None and self.is_shown:
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()

    def at(self, detail: str) -> None:
        """Update how much is done; the activity keeps its start time."""
        self._how_far = lambda: detail

    def done(self) -> None:
        """Stop, and clear the line."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
            self._stop.clear()
            if self._shown:
                self._write("\r\x1b[K")
                self._shown = False

    def _show(self) -> None:
        while not self._stop.wait(0.5):
            seconds = time.monotonic() - self._since
            if seconds >= 1.0:
                how_far = self._how_far()
                label = on_one_line(f"{self._label}: {how_far}" if how_far else self._label)
                end = f" ... {seconds:.0f} s"
                room = shutil.get_terminal_size().columns - len(end) - 1  # a full line wraps
                self._write(f"\r{label[:room]}{end}\x1b[K")
                self._shown = True

    def _write(self, text: str) -> None:
        if self._stream:
            with suppress(OSError):  # the terminal was closed
                self._stream.write(text)
                self._stream.flush()
