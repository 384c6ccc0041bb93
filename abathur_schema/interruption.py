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
    """Inside, the first signal only asks to stop; a second one stops at once, as always.

    A signal that is ignored, as in a background job of a shell, stays so.
    """
    global _received
    _received = 0
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def hear(number: int, _frame: FrameType | None) -> None:
        global _received
        _received = number
        signal.signal(number, before[signal.Signals(number)])

    for number in heard:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


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
