"""Preserved state: what is kept of a database when a step fails, so that nothing is lost.

`REPORTS/<stem>/` holds `database.db`, `statements.sql`, `escalation.md` and `report.json`.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..declared.declaration import BACKUP
from ..errors import NoCopyError
from ..storage.kept import PreservedState, back_up
from ..wording import as_called
from .escalation import escalation
from .report import compose, to_json
from .run import Run
from .script import statements_sql


def preserve(run: Run, folder: Path) -> str:
    """Keep in `folder` everything the contract lists, as far as the disk allows.

    Returns the text of the report, of which `report.json` is a copy.
    """
    state = run.preserved = PreservedState(folder)
    state.keep_database(run.database, run.declared.settings)
    state.keep_text("statements.sql", statements_sql(run.steps, run.declared.settings))
    state.keep_text("escalation.md", as_called(escalation(run)))
    lost = len(state.lost)
    # The copy lists itself: it is read only in its own folder.
    state.files.append(folder / "report.json")
    content = to_json(compose(run))
    state.files.pop()
    state.keep_text("report.json", content)
    state.seal()
    return content if len(state.lost) == lost else to_json(compose(run))


def keep_copy(run: Run, folder: Path) -> None:
    """Keep the committed state of the database before rows are rewritten.

    Raises NoCopyError when that fails.
    """
    state = PreservedState(folder)
    state.keep("database.db", partial(back_up, run.database, settings=run.declared.settings))
    _hold(run, state)


def keep_replaced(run: Run, folder: Path, opened: BinaryIO | None, *, in_wal_mode: bool) -> None:
    """Keep the files of the database, which is locked against writers, before they are replaced;
    `opened` is the database file, None where only files beside it are left.

    Exclusive access required leaving WAL mode: `in_wal_mode` says that the database was in it.
    Raises NoCopyError when the files cannot be kept.
    """
    state = PreservedState(folder)
    state.keep_bytes(run.file, opened)
    if in_wal_mode and not state.lost:
        with closing(sqlite3.connect(folder / "database.db", isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = WAL")
    _hold(run, state)


def _hold(run: Run, state: PreservedState) -> None:
    state.seal()
    if state.lost:
        raise NoCopyError(state.folder, state.lost)
    run.copy = state


def complete_copy(run: Run, write: Callable[[], str]) -> str:
    """Add to the copy what ran after it was made, and the report, whose text `write` returns."""
    if run.copy is None:
        return write()
    if run.task != BACKUP:
        run.copy.keep_text("statements.sql", statements_sql(run.steps, run.declared.settings))
    report = run.copy.folder / "report.json"
    run.copy.files.append(report)
    content = write()
    run.copy.files.remove(report)
    run.copy.keep_text(report.name, content)
    run.copy.seal()
    return content
