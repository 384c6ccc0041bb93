"""Ctrl-C and SIGTERM: heard while SQLite works and between steps, so that a step ends whole or
not at all. While SQLite waits for a lock it hears nothing, for as long as busy_timeout says.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .errors import Interrupted

_received = 0


@contextmanager
def listening() -> Iterator[None]:
    """Inside, the first signal only asks to stop; a second one raises KeyboardInterrupt.

    A signal that is ignored, as in a background job of a shell, stays so.
    """
    global _received
    _received = 0
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, _hear)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


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
