"""Refuse a database that cannot be read, for the tasks that only read."""

from collections.abc import Callable
from typing import TypeVar

from ..diagnosis import explain
from ..errors import AbathurError, UsageError
from ..interruption import stop_if_asked
from ..place import Place

T = TypeVar("T")


def readable(database: Place, read: Callable[[], T]) -> T:
    """What `read` returns. Raises UsageError, with cause and remedy, when it fails."""
    try:
        return read()
    except AbathurError:
        raise
    except Exception as error:  # the schema of somebody else's file may contain anything
        stop_if_asked()  # "interrupted" says nothing about the database
        cause = explain(error, database)
        raise UsageError(
            f"{database} cannot be read ({error}): {cause.cause}. Nothing was touched;"
            f" {cause.remedy}."
        ) from error
