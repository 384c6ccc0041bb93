"""Handle Ctrl-C and SIGTERM, inside SQLite and between steps, so that each step is all or nothing.

While SQLite waits for a lock, for at most busy_timeout, it does not react to signals.
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

GIVEN_UP = "aborted after more time than any sound file of this size can take"


def reason(error: Exception) -> str:
    """Why reading was aborted."""
    given_up = str(error) == "interrupted" and not stop_asked()
    return GIVEN_UP if given_up else str(error) or type(error).__name__


_received = 0
_bell = -1
"""The read end of a pipe that becomes readable once a signal has arrived. Python runs signal
handlers only in the main thread, and not before a call into SQLite returns.
"""

SECONDS_BETWEEN_LOOKS = 0.1


@contextmanager
def listening() -> Iterator[None]:
    """Inside, the first signal only requests a stop; a second one raises KeyboardInterrupt.

    Signals that are ignored, as in a background job of a shell, stay ignored.
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
    """Whether to stop; as SQLite's progress handler it interrupts the running statement."""
    return bool(_received)


def interrupted() -> Interrupted:
    """The error for the signal that arrived."""
    return Interrupted(_received or signal.SIGINT)


def stop_if_asked() -> None:
    """Raise Interrupted if a stop was requested; called where nothing is half done."""
    if _received:
        raise interrupted()


@contextmanager
def watched(connections: Sequence[sqlite3.Connection], seconds: float) -> Iterator[None]:
    """Inside, statements on these read-only connections are interrupted from a thread once a signal
    has arrived or so many seconds have passed. SQLite checks for that at each row; it calls
    the progress handler only every million operations, each of which may take as long as a row.
    """
    ended = threading.Event()
    give_up = time.monotonic() + seconds

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            if _has_come() or time.monotonic() > give_up:
                for connection in [*connections]:
                    with suppress(sqlite3.ProgrammingError):  # closed in the meantime
                        connection.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _has_come() -> bool:
    """Whether a signal has arrived, even if the main thread has not handled it yet."""
    return stop_asked() or (_bell >= 0 and bool(select.select([_bell], [], [], 0)[0]))
