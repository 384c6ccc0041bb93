"""What a terminal can do: colours, and lines of its width."""

import os
import shutil
import textwrap
from collections.abc import Iterator
from typing import NamedTuple, TextIO

GOOD, BAD, STRONG, SOFT = "32", "31", "1", "2"
"""Styles, by their number in ECMA-48 ("Select Graphic Rendition"): green, red, bold, faint."""


class Painted(NamedTuple):
    """A part of a line in a style."""

    text: str
    style: str


Part = str | Painted


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody reads this on a terminal."""
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def is_coloured(stream: TextIO) -> bool:
    """Whether to write in colours (no-color.org, bixense.com/clicolors): on a terminal, unless
    NO_COLOR is set; anywhere if CLICOLOR_FORCE is.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def painted(text: str, style: str) -> str:
    """The text, with the sequences that switch a style on and off again."""
    return f"\x1b[{style}m{text}\x1b[0m"


def width(stream: TextIO) -> int | None:
    """The columns of the terminal; None where there is none, and lines may have any length."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def wrapped(text: str, indent: int, stream: TextIO) -> Iterator[str]:
    """A line, indented; on a terminal in as many lines as it needs."""
    room = " " * indent
    columns = width(stream)
    if columns is None or len(text) + indent <= columns:
        yield room + text
        return
    yield from textwrap.wrap(
        text,
        max(columns, indent + 20),
        initial_indent=room,
        subsequent_indent=room + "  ",
        break_on_hyphens=False,
    )
