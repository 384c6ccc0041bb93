"""Ctrl-C: heard while SQLite works and between steps, so that a step ends whole or not at all."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .errors import Interrupted

_pressed = False


@contextmanager
def listening() -> Iterator[None]:
    """Inside, the first Ctrl-C only asks to stop; the second one stops at once, as always."""
    global _pressed
    _pressed = False
    before = signal.signal(signal.SIGINT, _hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _hear(_number: int, _frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pressed() -> bool:
    """Whether the work should stop. As SQLite's progress handler it stops what SQLite does."""
    return _pressed


def stop_if_pressed() -> None:
    """Raise Interrupted when the work should stop; called where nothing is half done."""
    if _pressed:
        raise Interrupted
