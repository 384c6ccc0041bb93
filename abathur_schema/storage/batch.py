"""What a transaction on a cluster has read and will write: it is sent as one request."""

import sqlite3
from contextlib import suppress

from ..errors import ConflictError
from ..schema.text import string
from .catalog import FINGERPRINT, SUMMARY
from .rqlite import Nodes

CONDITION = "what was read has changed"
"""No path in JSON: the error of a condition that does not hold names it."""

RESET = "PRAGMA writable_schema = RESET"


class Batch:
    """An open transaction. `reads` are expressions, each with the text that it was; `defines` says
    whether a statement changes the schema.
    """

    def __init__(self) -> None:
        self.reads: list[tuple[str, str]] = []
        self.writes: list[str] = []
        self.defines = False

    def send(self, nodes: Nodes, schema: str, summary: str) -> None:
        """Send first the conditions on which it was written, then its statements. Raises
        ConflictError when one does not hold any more.
        """
        of_schema = (FINGERPRINT, schema) if self.defines else (SUMMARY, summary)
        guards = [
            f"SELECT iif({found} = {string(seen)}, 1, json_extract('{{}}', '{CONDITION}'))"
            for found, seen in (of_schema, *self.reads)
        ]
        try:
            nodes.execute([*guards, *self.writes])
        except sqlite3.OperationalError as error:
            if any(one.startswith("PRAGMA writable_schema") for one in self.writes):
                with suppress(sqlite3.Error):  # the first error is the one to report
                    nodes.execute([RESET])
            if CONDITION in str(error):
                raise ConflictError(
                    "what this transaction has read was changed: repeat it"
                ) from error
            raise
