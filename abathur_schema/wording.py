"""How names and lines are written: safely for a terminal, and with the user's command names.

A name in somebody else's database may contain control characters, or imitate a line of our output.
Messages are written for `invoke`, which runs the tasks in a checkout; when the console command runs
them, they name that instead.
"""

import os
import shlex

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}


def shown(text: str) -> str:
    """The text with its control characters, except the new line, as numbers."""
    return text.translate(_CONTROL)


def on_one_line(text: str) -> str:
    """The text with its control characters, including the new line, as numbers."""
    return shown(text).replace("\n", "\\x0a")


def quote(text: str) -> str:
    """The text as one word of a command line that can be copied: what a terminal does not show, and
    what would end the command in our messages, as numbers (of bash, zsh and ksh).
    """
    if text.isprintable() and "`" not in text:
        return shlex.quote(text)
    numbers = {ord(one): f"\\x{ord(one):02x}" for one in "\\'`"}
    return "$'" + "".join(map(_in_numbers, text.translate(numbers))) + "'"


def _in_numbers(letter: str) -> str:
    if letter.isprintable():
        return letter
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))


INVOKE = "invoke"
CONSOLE = "abathur-schema"

called = INVOKE


def as_called(text: str) -> str:
    """`text` with its commands as this user types them."""
    return text.replace(f"`{INVOKE} ", f"`{called} ")


def size(value: float | None) -> str:
    """A number of bytes for people."""
    if value is None:
        return "?"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if abs(value) < 1024 or unit == "TB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == "B" or value >= 100 else f"{value:,.1f} {unit}"
