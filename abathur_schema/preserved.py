"""Preserved state: what is kept of a database when a step fails, so that nothing is lost.

`REPORTS/<stem>/` holds `database.db`, `statements.sql`, `escalation.md` and `report.json`.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .connection import connect
from .declared import PRAGMA, declared
from .escalation import escalation
from .files import create, make_folders, sync_folder, write
from .report import compose, to_json
from .run import Run
from .steps import Step

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database file while it is in use."""


@dataclass
class PreservedState:
    """`files` were kept; `lost` says of each that could not be kept why."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def keep(self, name: str, make: Callable[[Path], None]) -> None:
        """Let `make` write the file `name`; when it cannot, say so and go on."""
        path = self.folder / name
        try:
            make_folders(self.folder)
            make(path)
            self.files.append(path)
        except (OSError, sqlite3.Error) as error:
            self.lost.append(f"{name}: {error}")

    def keep_text(self, name: str, content: str) -> None:
        """Keep a text file."""
        self.keep(name, lambda path: write(path, content))

    def keep_database(self, database: Path) -> None:
        """Keep the database: by SQLite's backup, or byte for byte where SQLite cannot read it."""
        try:
            if not database.exists():
                self.lost.append("database.db: there was no database")
                return
            make_folders(self.folder)
            _back_up(database, self.folder / "database.db")
            self.files.append(self.folder / "database.db")
        except sqlite3.DatabaseError as error:
            self.lost.append(
                f"database.db: not as SQLite reads it ({error}); byte for byte instead"
            )
            self._keep_bytes(database)
        except OSError as error:
            self.lost.append(f"database.db: {error}")

    def _keep_bytes(self, database: Path) -> None:
        for suffix in ("", *COMPANIONS):
            source = database.with_name(database.name + suffix)
            if source.exists():
                self.keep(f"database.db{suffix}", partial(_copy, source))

    def seal(self) -> None:
        """See the folder itself on the disk; one that nothing could be kept in goes."""
        try:
            if not self.files:
                self.folder.rmdir()
                return
            sync_folder(self.folder)
            sync_folder(self.folder.parent)
        except OSError as error:
            self.lost.append(f"the folder may not survive a power loss: {error}")


def _back_up(database: Path, copy: Path) -> None:
    """Copy what is committed, `-wal` included, as one consistent state."""
    os.close(create(copy))
    try:
        with (
            closing(connect(database, "ro")) as source,
            closing(sqlite3.connect(copy, isolation_level=None)) as target,
        ):
            # Hold the state: without this the backup would wait for a lock for ever.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            source.backup(target)
    except BaseException:
        for suffix in ("", *COMPANIONS):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        raise


def _copy(source: Path, copy: Path) -> None:
    descriptor = create(copy)
    try:
        with os.fdopen(descriptor, "wb") as target, source.open("rb") as content:
            shutil.copyfileobj(content, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
    except OSError:
        copy.unlink()
        raise


def preserve(run: Run, folder: Path) -> str:
    """Keep in `folder` all that the contract names, as far as the disk allows.

    Returns the text of the report, of which `report.json` is a copy.
    """
    state = run.preserved = PreservedState(folder)
    state.keep_database(run.database)
    state.keep_text("statements.sql", statements_sql(run.steps))
    state.keep_text("escalation.md", escalation(run))
    lost = len(state.lost)
    # The copy names itself: it is read only where it is.
    state.files.append(folder / "report.json")
    content = to_json(compose(run))
    state.files.pop()
    state.keep_text("report.json", content)
    state.seal()
    return content if len(state.lost) == lost else to_json(compose(run))


def statements_sql(steps: Sequence[Step]) -> str:
    """What ran, in order and by step, ready to run again; the statement that failed is marked."""
    lines = ["-- What ran, in order; each step is one transaction.\n"]
    lines += [setting.statement for setting in declared().settings]
    for step in steps:
        lines.append(f"\n-- step {step.name}: {step.status}")
        for number, attempt in enumerate(step.attempts, 1):
            if len(step.attempts) > 1:
                lines.append(f"-- attempt {number}: {_on_one_line(attempt.error) or 'done'}")
            if not attempt.ran and not attempt.running:
                continue
            in_transaction = step.name != PRAGMA
            lines += ["BEGIN IMMEDIATE;"] * in_transaction
            lines += [statement.sql for statement in attempt.ran]
            if attempt.running:
                error = _on_one_line(attempt.error)
                lines.append(f"-- >>> THIS STATEMENT FAILED: {error}\n{attempt.running.sql}")
            ending = "ROLLBACK" if attempt.error else "COMMIT"
            lines += [f"{ending};"] * in_transaction
    return "\n".join(lines) + "\n"


def _on_one_line(error: Exception | None) -> str:
    return " ".join(str(error or "").split())
