"""The preserved states of a reports folder that `restore` can put back."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ..record.draft import BEFORE, REPLACED
from ..record.past import database_of, past_report
from ..record.run import Run
from ..wording import on_one_line, quote, size


class State(NamedTuple):
    """A state that was kept: its folder, the time of the run (UTC), the bytes of its database, why
    it was kept, and the path of the database that it is of, if that is known.
    """

    folder: Path
    time: str
    bytes: int
    reason: str
    database: str | None


def states(reports: Path) -> Iterator[State]:
    """The states in a reports folder, newest first."""
    with suppress(OSError):
        for folder in sorted(reports.iterdir(), key=lambda path: path.name, reverse=True):
            copy = folder / "database.db"
            with suppress(OSError, ValueError):  # not a state, or gone meanwhile
                stamp, _, rest = folder.name.partition("-")
                time = datetime.strptime(stamp, "%Y%m%dT%H%M%S.%fZ")
                size = copy.stat().st_size
                yield State(folder, f"{time:%Y-%m-%d %H:%M:%S}", size, *_told(folder, rest))


def _told(folder: Path, rest: str) -> tuple[str, str | None]:
    """Why a state was kept, and the database that it is of."""
    task, suffix = rest, ""
    for one in (BEFORE, REPLACED):
        if rest.endswith(f"-{one}"):
            task, suffix = rest.removesuffix(f"-{one}"), one
    reason = {BEFORE: f"before {task} rewrote rows", REPLACED: "replaced by restore"}.get(suffix)
    beside = folder.with_name(f"{folder.name.removesuffix(f'-{suffix}')}.json")
    for path in (beside, folder / "report.json"):
        if report := past_report(path):
            failure = report.get("failure")
            failed = failure and f"{failure['step']} failed: {failure['error'].splitlines()[0]}"
            return reason or failed or task, database_of(report)
    return reason or f"kept by {task}", None


def list_states(run: Run, reports: Path, *, as_json: bool) -> str:
    """The states of the database of a run as lines, each with the command that puts it back, or as
    JSON.
    """
    database = run.database
    found = [one for one in states(reports) if one.database in (None, str(database))]
    if as_json:
        return json.dumps([{**one._asdict(), "folder": str(one.folder)} for one in found], indent=2)
    if not found:
        return f"no state of {database} is kept in {reports}"
    lines = [f"states of {database} that can be put back, newest first:"]
    for one in found:
        folder = quote(os.path.relpath(one.folder))
        lines += [
            f"{one.time} UTC  {size(one.bytes):>9}  {on_one_line(one.reason)[:100]}",
            f"  `invoke restore {folder} {run.options}`",
        ]
    return "\n".join(lines)
