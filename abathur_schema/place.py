"""Where a database is: in a file, or in a cluster that is asked over HTTP."""

import re
from pathlib import Path
from typing import NamedTuple

from .errors import UsageError

SCHEME = "rqlite://"

DATABASE, REPORTS = "abathur.db", "reports"
"""The paths that a command takes by itself."""

configured = False
"""Whether Invoke's configuration has others: another command may then take those, or not."""


def unless_default(reports: Path) -> Path | None:
    """The folder for reports, unless a command in this folder takes it by itself."""
    return None if not configured and reports == Path(REPORTS).absolute() else reports


class Address(NamedTuple):
    """The nodes of a cluster, `host:port` each; any of them can be asked."""

    nodes: tuple[str, ...]

    def __str__(self) -> str:
        return SCHEME + ",".join(self.nodes)

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self)


def address(text: str) -> Address | None:
    """The address in `rqlite://host:port,host:port`; None for a text that is a path. Raises
    UsageError.
    """
    if not text.startswith(SCHEME):
        return None
    from urllib.parse import urlsplit  # only who names a cluster pays for this import

    nodes = tuple(node.strip() for node in text.removeprefix(SCHEME).rstrip("/").split(","))
    for node in nodes:
        try:
            found = urlsplit(f"//{node}")
            is_node = found.hostname and found.port and found.netloc == node
        except ValueError:
            is_node = False
        if not is_node or found.username:
            said = re.sub(r"//[^/]*@", "//...@", text)  # a password is not for a terminal
            raise UsageError(
                f"{said!r} does not name the nodes of a cluster. Name them by their HTTP addresses,"
                " such as rqlite://10.0.0.1:4001,10.0.0.2:4001; nothing was touched."
            )
    return Address(nodes)


Place = Path | Address
