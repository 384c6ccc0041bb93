"""The tasks for a database in operation, from their options to their exit codes."""

import json
import sqlite3
import sys
from collections.abc import Callable

from ..diagnosis import explain
from ..errors import UsageError
from ..steps import preflight
from ..upkeep.status import status
from .output import say, write_sql
from .status import prometheus, say_status, watch
from .tasks import told

STATUS = "status"


@told
def run_status(
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    as_prometheus: bool = False,
    seconds: object = None,
) -> int:
    """Print the status of a database; with `seconds` again and again, until Ctrl-C."""
    if as_json and as_prometheus:
        raise UsageError("--json and --prometheus contradict each other. Leave one of them.")
    pause = _pause(seconds)
    path, folder, declared = preflight.check(STATUS, database, reports, schema)

    def show() -> None:
        try:
            found = status(path, folder, declared)
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            cause = explain(error, path, f"{STATUS} --database {path}")
            raise UsageError(
                f"{path} cannot be read ({error}): {cause.cause}. Nothing was touched;"
                f" {cause.remedy}."
            ) from error
        if as_json:
            say(json.dumps(found, indent=None if pause else 2))
        elif as_prometheus:
            write_sql(prometheus(found))
        else:
            if pause and sys.stdout and sys.stdout.isatty():
                print("\x1b[H\x1b[2J", end="")  # to the top of an empty screen
            say_status(found)

    _once_or_often(show, pause)
    return 0


def _once_or_often(show: Callable[[], None], pause: float | None) -> None:
    if pause is None:
        show()
    else:
        watch(pause, show)


def _pause(seconds: object) -> float | None:
    if seconds in (None, ""):
        return None
    try:
        pause = float(str(seconds))
    except ValueError:
        pause = 0
    if not 0.1 <= pause < 1e6:
        raise UsageError(f"{seconds!r} is not a number of seconds. Name one, with --watch SECONDS.")
    return pause
