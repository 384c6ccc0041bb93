"""How names and lines are written: for a terminal, and as the user calls the tasks.

A name in somebody else's database may contain characters that a terminal would obey, or begin a
line that looks like one of ours. Messages are written for `invoke`, which runs the tasks in a
checkout; where the console command runs them, they name that.
"""

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}


def shown(text: str) -> str:
    """The text with its control characters, all but the new line, by their numbers."""
    return text.translate(_CONTROL)


def on_one_line(text: str) -> str:
    """The same, the new line too."""
    return shown(text).replace("\n", "\\x0a")


INVOKE = "invoke"
CONSOLE = "abathur-schema"

called = INVOKE


def as_called(text: str) -> str:
    """`text` with the commands in it as this user types them."""
    return text.replace(f"`{INVOKE} ", f"`{called} ")
