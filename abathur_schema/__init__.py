"""The SQLite store of an agent swarm: created, upgraded, verified.

`Database` and `query` are for applications. They are imported on first use, so that the command
line does not pay for what only applications need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .application.database import Database
    from .application.queries import query
    from .application.records import Document, Memory, Task
    from .application.searching import Nearest
    from .application.words import Hit
    from .errors import AbathurError

__version__ = "0.1.0"
__all__ = [
    "AbathurError",
    "Database",
    "Document",
    "Hit",
    "Memory",
    "Nearest",
    "Task",
    "query",
]

_HOMES = {
    "AbathurError": "errors",
    "Database": "application.database",
    "Document": "application.records",
    "Hit": "application.words",
    "Memory": "application.records",
    "Nearest": "application.searching",
    "Task": "application.records",
    "query": "application.queries",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
