"""Ctrl-C and SIGTERM: heard while SQLite works and between steps, so that a step ends whole or
not at all. While SQLite waits for a lock it hears nothing, for as long as busy_timeout says.
"""

import os
import select
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from .errors import Interrupted

GIVEN_UP = "it took SQLite longer than any sound file of this size can, and was given up"


def reason(error: Exception) -> str:
    """Why reading broke off."""
    given_up = str(error) == "interrupted" and not stop_asked()
    return GIVEN_UP if given_up else str(error) or type(error).__name__


_received = 0
_bell = -1
"""The end of a pipe from which something can be read once a signal has come. Python runs what is to
be done with a signal in the main thread only, and not before a call into SQLite is over.
"""

SECONDS_BETWEEN_LOOKS = 0.1


@contextmanager
def listening() -> Iterator[None]:
    """Inside, the first signal only asks to stop; a second one raises KeyboardInterrupt.

    A signal that is ignored, as in a background job of a shell, stays so.
    """
    global _received, _bell
    _received = 0
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] is not signal.SIG_IGN]
    _bell, rings = os.pipe()
    os.set_blocking(rings, False)
    rang = signal.set_wakeup_fd(rings, warn_on_full_buffer=False)
    for number in heard:
        signal.signal(number, _hear)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
        signal.set_wakeup_fd(rang)
        for end in (_bell, rings):
            os.close(end)
        _bell = -1


def _hear(number: int, _frame: FrameType | None) -> None:
    global _received
    if _received:
        raise KeyboardInterrupt
    _received = number


def stop_asked() -> bool:
    """Whether the work should stop. As SQLite's progress handler it stops what SQLite does."""
    return bool(_received)


def interrupted() -> Interrupted:
    """The error for the signal that came."""
    return Interrupted(_received or signal.SIGINT)


def stop_if_asked() -> None:
    """Raise Interrupted when the work should stop; called where nothing is half done."""
    if _received:
        raise interrupted()


@contextmanager
def watched(connections: Sequence[sqlite3.Connection], seconds: float) -> Iterator[None]:
    """Inside, what SQLite does on these connections, which only read, is interrupted from outside
    when a signal has come or so many seconds have passed: it looks up at each row then, while of
    itself it calls nobody for as long as one row takes, a million times.
    """
    ended = threading.Event()
    give_up = time.monotonic() + seconds

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            if _has_come() or time.monotonic() > give_up:
                for connection in [*connections]:
                    with suppress(sqlite3.ProgrammingError):  # closed meanwhile
                        connection.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _has_come() -> bool:
    """Whether a signal has come, though the main thread may not have heard it yet."""
    return stop_asked() or (_bell >= 0 and bool(select.select([_bell], [], [], 0)[0]))
