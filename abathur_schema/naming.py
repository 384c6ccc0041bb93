"""The name by which the user calls the tasks.

Messages are written for `invoke`, which runs them in the checkout; where the console command runs
them, they name that.
"""

INVOKE = "invoke"
CONSOLE = "abathur-schema"

called = INVOKE


def as_called(text: str) -> str:
    """`text` with the commands in it as this user types them."""
    return text.replace(f"`{INVOKE} ", f"`{called} ")
