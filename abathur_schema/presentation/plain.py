"""Texts from somebody else's file, so that they can be shown: of limited length, and without
control characters or bytes that are not UTF-8.
"""

from ..proof.findings import cut
from ..wording import shown

LONGEST_NAME = 200
LONGEST_TEXT = 2_000


def plain(text: object, longest: int = LONGEST_TEXT) -> str:
    """`text` as it can be shown anywhere."""
    return shown(cut(str(text), longest).encode("utf-8", "backslashreplace").decode())


def name(text: object) -> str:
    """A name as it can be shown anywhere."""
    return plain(text, LONGEST_NAME)
