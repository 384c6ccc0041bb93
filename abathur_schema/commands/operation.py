"""The tasks for a database in operation, from their options to their exit codes."""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from ..declared.declaration import BACKUP
from ..errors import UsageError
from ..interruption import interrupted, stop_asked
from ..place import unless_default
from ..planning.statement import Attempt, Step
from ..progress import Progress
from ..record.draft import BEFORE, Draft
from ..record.preserved import keep_copy
from ..record.run import Run
from ..steps import preflight
from ..storage.connection import COMPANIONS, read_back
from ..storage.litestream import leave_log_to_litestream
from ..upkeep import space
from ..upkeep.backup import check_backup, make_backup, older_backups, remove_backup
from ..upkeep.status import status
from .output import say, say_wrong, write_sql
from .reading import readable
from .status import prometheus, say_status, watch
from .tasks import end, told
from .usage import LEFT_OUT

STATUS = "status"
CHECKPOINT = "checkpoint"
VACUUM = "vacuum"
OPTIMIZE = "optimize"


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
    path, folder, declared = preflight.check_file(STATUS, database, reports, schema)

    options = Run(STATUS, path, declared, reports=unless_default(folder)).options

    def show() -> None:
        found = readable(path, lambda: status(path, folder, declared, options))
        if as_json:
            say(json.dumps(found, indent=None if pause else 2))
        elif as_prometheus:
            write_sql(prometheus(found))
        else:
            if pause and sys.stdout and sys.stdout.isatty():
                print("\x1b[H\x1b[2J", end="")  # to the top of an empty screen
            say_status(found)

    if pause is None:
        show()
    else:
        watch(pause, show)
    return 0


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


@told
def run_backup(
    folder: object,
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    file: object = None,
    check: bool = True,
    keep: object = None,
) -> int:
    """Copy a database while others use it, check the copy, and return the exit code."""
    path, place, declared = preflight.check(BACKUP, database, reports, schema)
    most = _most(keep)
    folder = None if folder == LEFT_OUT else folder
    if folder and file:
        raise UsageError("a backup is a folder or a file (--file), not both. Leave one of them.")
    if file and most:
        raise UsageError("--keep is about backups in folders. Leave out --keep, or --file.")
    into = preflight.path_of("backup", folder, "a folder") if folder else place
    target = preflight.path_of("backup", file, "a file, with --file PATH") if file else None
    if target and target.exists():
        raise UsageError(f"{target} is there already. Name another file; nothing was touched.")
    if isinstance(path, Path) and target in {path.with_name(path.name + one) for one in COMPANIONS}:
        raise UsageError(f"{target} is a name that SQLite uses beside {path}. Name another file.")
    with Draft(place, BACKUP, datetime.now(timezone.utc)) as draft:
        asked = [str(folder)] if folder else ["--file", str(file)] if file else []
        asked += [] if check else ["--no-check-copy"]
        asked += ["--keep", str(keep)] if most else []
        run = Run(BACKUP, path, declared, asked, reports=unless_default(place), preserves=False)
        progress = Progress(sys.stderr)
        goal = target or into / draft.stem
        # Before there is a new one: of two runs at once, neither removes that of the other.
        too_old = [*older_backups(goal, path, most)] if most else []
        run.steps.append(make_backup(run, goal, progress, as_file=bool(target)))
        if check and not run.failed:
            check_backup(run, progress)
        else:
            run.live = read_back(path, declared.settings)
        code = end(run, draft, as_json=as_json)
        for old in too_old if not code else ():
            if why := remove_backup(old):
                say_wrong(f"note: {why}")
        return code


def _most(keep: object) -> int:
    if keep in (None, ""):
        return 0
    if not str(keep).isdecimal() or not 0 < int(str(keep)) < 1_000_000:
        raise UsageError(f"{keep!r} is not a number of backups. Name one, with --keep N.")
    return int(str(keep))


@told
def run_checkpoint(
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    truncate: bool = False,
) -> int:
    """Copy the write-ahead log into the file, and return the exit code."""

    def work(run: Run, attempt: Attempt, _: Draft) -> None:
        leave_log_to_litestream(run.file)
        settings = run.declared.settings
        space.checkpoint(run.file, settings, attempt, truncate=truncate)

    return _run(CHECKPOINT, work, database, reports, schema, as_json=as_json)


@told
def run_optimize(database: object, reports: object, as_json: bool, *, schema: object = None) -> int:
    """Bring SQLite's statistics up to date, and return the exit code."""

    def work(run: Run, attempt: Attempt, _: Draft) -> None:
        space.optimize(run.file, run.declared.settings, attempt)

    return _run(OPTIMIZE, work, database, reports, schema, as_json=as_json)


@told
def run_vacuum(
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    dry_run: bool = False,
    backup: bool = True,
) -> int:
    """Rewrite the file without its free pages, and return the exit code; with `dry_run` only say
    what that would do.
    """
    path, place, declared = preflight.check_file(VACUUM, database, reports, schema)
    copy_to = place if backup else None
    expected = readable(path, lambda: space.estimate(path, declared.settings, copy_to))
    if dry_run and as_json:
        rooms = [room._asdict() for room in expected.rooms]
        say(json.dumps({"frees": expected.frees, "rooms": rooms}))
    elif not as_json:
        for line in expected.lines():
            say(f"  {line}")
    if dry_run:
        return 0
    leave_log_to_litestream(path)
    for room in expected.rooms:
        if room.needs > room.free:
            raise UsageError(
                f"a vacuum needs {room.needs / 1e6:,.1f} MB in {' and '.join(room.folders)}, and"
                f" {room.free / 1e6:,.1f} MB are free. Make room; nothing was touched."
            )

    def work(run: Run, attempt: Attempt, draft: Draft) -> None:
        def before() -> None:
            if backup:
                keep_copy(run, draft.folder(BEFORE))

        space.vacuum(run.file, run.declared.settings, attempt, before)

    return _run(VACUUM, work, database, reports, schema, as_json=as_json)


def _run(
    task: str,
    work: Callable[[Run, Attempt, Draft], None],
    database: object,
    reports: object,
    schema: object,
    *,
    as_json: bool,
) -> int:
    """Run a task of one step that needs no preserved state, and return its exit code."""
    path, place, declared = preflight.check_file(task, database, reports, schema)
    with Draft(place, task, datetime.now(timezone.utc)) as draft:
        run = Run(task, path, declared, reports=unless_default(place), preserves=False)
        progress = Progress(sys.stderr)
        attempt, started = Attempt(), time.perf_counter()
        progress.now(task)
        try:
            work(run, attempt, draft)
        except UsageError:
            raise
        except Exception as error:  # of any kind: the report tells
            attempt.error = interrupted() if stop_asked() else error
        finally:
            progress.done()
        run.steps.append(Step(task, [attempt], (time.perf_counter() - started) * 1000))
        run.live = read_back(path, declared.settings)
        return end(run, draft, as_json=as_json)
