"""What a terminal may be shown: a name in a database of somebody else may have signs in it that a
terminal would obey, or begin a line that looks like one of ours.
"""

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}


def shown(text: str) -> str:
    """The text with its control characters, all but the new line, by their numbers."""
    return text.translate(_CONTROL)


def on_one_line(text: str) -> str:
    """The same, the new line too."""
    return shown(text).replace("\n", "\\x0a")
