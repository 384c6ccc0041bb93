"""`backup`: a consistent copy of a database while others write, checked after it was made."""

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..declared.declaration import BACKUP
from ..errors import Interrupted, NoBackupError
from ..interruption import stop_if_asked
from ..place import Place
from ..planning.statement import Attempt, Statement, Step
from ..progress import Progress
from ..proof.verification import verify
from ..record.past import database_of, past_report
from ..record.run import Run
from ..storage.connection import COMPANIONS
from ..storage.kept import PreservedState, back_up

FILES = ("database.db", "report.json")
"""What the folder of a backup has. The report goes last: without it nobody knows whose it is."""


def make_backup(run: Run, place: Path, progress: Progress, *, as_file: bool) -> Step:
    """Copy the committed state to the folder `place`, or with `as_file` to a file of that name.

    Writers are not held up: the copy reads one state, and in WAL mode what is committed meanwhile
    stays in the `-wal` until it is done.
    """
    started = time.perf_counter()
    attempt = Attempt()

    def copied(_: int, left: int, pages: int) -> None:
        stop_if_asked()
        progress.at(f"{100 * (pages - left) // max(1, pages)} %")

    copy = partial(back_up, run.database, settings=run.declared.settings, progress=copied)
    statement = Statement(f"-- {place} is a copy of {run.database}", "backup", ())
    try:
        progress.now(f"{BACKUP}: copying {run.database.name}")
        attempt.running = statement
        state = PreservedState(place.parent if as_file else place)
        try:
            state.keep(place.name if as_file else "database.db", copy)
        finally:
            state.seal()
        if state.lost:
            stop_if_asked()
            raise NoBackupError(place, state.lost)
        if as_file:
            run.made += [*state.made, place]
        else:
            run.copy = state
        attempt.running = None
    except Exception as error:  # of any kind: the report tells
        attempt.error = error
    finally:
        progress.done()
    return Step(BACKUP, [attempt], (time.perf_counter() - started) * 1000)


def check_backup(run: Run, progress: Progress) -> None:
    """Run the checks of `checks/holds/` on the copy, for the report of the run. If that is
    interrupted, the copy is removed again: nobody knows whether it is sound.
    """
    copy = run.copy.files[0] if run.copy else run.made[-1]
    progress.now(f"{BACKUP}: checking the copy")
    try:
        proof = verify(copy, run.declared, progress)
        run.checks = [check for check in proof.checks if check.kind == "holds"]
        run.live, run.rows = proof.live, proof.rows
        _tidy(copy)
    except Interrupted as error:
        run.steps[-1].attempts[-1].error = error
        for suffix in ("", *COMPANIONS):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        with suppress(OSError):  # somebody else's file is in it
            for folder in reversed(run.copy.made if run.copy else run.made[:-1]):
                folder.rmdir()
        run.copy, run.made = None, []
    finally:
        progress.done()


def _tidy(copy: Path) -> None:
    """Remove what SQLite made to read the copy: an empty `-wal`, and its `-shm`."""
    log = copy.with_name(f"{copy.name}-wal")
    with suppress(OSError):
        if log.stat().st_size == 0:
            for suffix in COMPANIONS:
                copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def older_backups(made: Path, database: Place, keep: int) -> Iterator[Path]:
    """The backups of `database` beside the place of `made` that are too many when it is there and
    `keep` are kept, oldest last. That one is kept, also if the clock says that others are newer.
    Only what this command has made, of this database, and with nothing else in it.
    """
    found = made.parent.glob(f"[0-9]*Z-{BACKUP}")
    others = (one for one in found if one != made and not one.is_symlink())
    ours = sorted(others, key=lambda path: path.name, reverse=True)
    yield from [one for one in ours if _is_backup_of(one, database)][keep - 1 :]


def _is_backup_of(folder: Path, database: Place) -> bool:
    report = past_report(folder / "report.json")
    return (
        report is not None
        and report.get("environment", {}).get("task") == BACKUP
        and database_of(report) == str(database)
    )


def remove_backup(folder: Path) -> str | None:
    """Remove a backup; returns why it stays, if so."""
    try:
        if others := {path.name for path in folder.iterdir()}.difference(FILES):
            return f"{folder} stays: it has other files ({', '.join(sorted(others)[:3])})"
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    except FileNotFoundError:  # another run has removed it
        return None
    except OSError as error:
        return f"{folder} stays: {error}"
    return None
