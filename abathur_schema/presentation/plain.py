"""Texts from somebody else's file, so that they can be shown: of limited length, and without
control characters or bytes that are not UTF-8.
"""

from ..wording import shown

LONGEST_NAME = 200
LONGEST_TEXT = 2_000


def plain(text: object, longest: int = LONGEST_TEXT) -> str:
    """`text` as it can be shown anywhere."""
    line = str(text)
    more = len(line) - longest
    if more > 0:
        line = f"{line[:longest]}... ({more} characters more)"
    return shown(line.encode("utf-8", "backslashreplace").decode())


def name(text: object) -> str:
    """A name as it can be shown anywhere."""
    return plain(text, LONGEST_NAME)
