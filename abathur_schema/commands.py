"""What each task does, from its options to its exit code; every task ends here."""

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TextIO

from .checks import KINDS, check_files
from .connection import MINIMUM_SQLITE, connect, unsettled
from .declared import PRAGMA, STEPS, declared
from .diagnosis import explain
from .errors import VERIFY_FAILED, AbathurError, Interrupted, StepError, UsageError
from .interruption import listening
from .plan import needed_first
from .progress import Progress
from .report import Draft, compose, to_json
from .run import VERIFY, Run, what_changed
from .schema import Schema, read_schema
from .steps import Attempt, Step, Target, run_step
from .verification import verify

CHAINS = {"init": (*STEPS, VERIFY), **{name: (name,) for name in (*STEPS, VERIFY)}}
"""What each task runs, in order."""

Say = Callable[[str], None]


def run_task(task: str, database: str, reports: str, as_json: bool) -> int:
    """Run a task and return its exit code.

    Prints a line for each step, or with `as_json` only the report; errors go to standard error.
    """
    try:
        _check_sqlite()
        _read_bundle(task)
        path = _database_path(task, database)
        draft = Draft(_path(reports), task)
        try:
            _check_order(task, path)
            with listening():
                run = _run(task, path, _silent if as_json else _say)
        except BaseException:
            draft.discard()
            raise
        return _finish(run, draft, as_json)
    except AbathurError as error:
        _say(str(error), sys.stderr)
        return error.exit_code


def _run(task: str, database: Path, say: Say) -> Run:
    run = Run(task, database)
    progress = Progress(sys.stderr)
    target = Target(database, run.made)
    try:
        for name in CHAINS[task]:
            progress.now(name)
            if run.failed:
                step = Step(name, skipped=True)
            elif name == VERIFY:
                step = _verify(run, progress)
            else:
                step = run_step(target, name)
            run.steps.append(step)
            progress.done()
            say(_line(step, run))
        if run.checks is None:
            run.live = _read_back(database)
    finally:
        progress.done()
        target.close()
    return run


def _verify(run: Run, progress: Progress) -> Step:
    started = time.perf_counter()
    attempt = Attempt()
    try:
        run.checks, run.live = verify(run.database, progress)
    except Interrupted as error:
        attempt.error = error
    except sqlite3.OperationalError as error:
        if run.task == VERIFY:
            cause = explain(error, run.database)
            raise UsageError(
                f"{run.database} cannot be read ({error}): {cause.cause}. Nothing is known of it;"
                f" {cause.remedy}."
            ) from error
        attempt.error = error
    milliseconds = (time.perf_counter() - started) * 1000
    return Step(VERIFY, [attempt], milliseconds, failed_checks=len(run.faults))


def _finish(run: Run, draft: Draft, as_json: bool) -> int:
    """Preserve the state if a step failed, write the report, and tell both."""
    failed = run.failed
    if failed and not isinstance(failed.error, Interrupted):
        from .preserved import preserve  # only a failure pays for its import

        content = preserve(run, draft.path.with_suffix(""))
    else:
        content = to_json(compose(run))
    if as_json:
        _say(content.rstrip())
    else:
        for line in _check_lines(run):
            _say(line)
    if failed and failed.error:
        _say("\n".join(_failure_lines(run, failed.error)), sys.stderr)
    try:
        draft.write(content)
    except OSError as error:
        _say(f"the report could not be written: {error}; it is:\n{content}", sys.stderr)
        return StepError.exit_code
    if not as_json:
        _say(f"report: {draft.path}")
    if failed:
        return (
            Interrupted.exit_code if isinstance(failed.error, Interrupted) else StepError.exit_code
        )
    return VERIFY_FAILED if run.faults else 0


def _read_bundle(task: str) -> None:
    """Read `sql/` and `checks/` while nothing is touched: a file there may be wrong."""
    declared()
    if VERIFY in CHAINS[task]:
        for kind in KINDS:
            check_files(kind)


def _check_sqlite() -> None:
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        needed = ".".join(map(str, MINIMUM_SQLITE))
        raise UsageError(
            f"SQLite {sqlite3.sqlite_version} is too old; {needed} or newer is needed. Use a Python"
            " that is linked with a newer SQLite; nothing was touched."
        )


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text)).absolute()  # noqa: PTH111 - takes ~nobody as it is


def _database_path(task: str, text: str) -> Path:
    """The path of the database, if `task` can work on what is there."""
    if text == ":memory:":
        raise UsageError(
            "a database in :memory: would be gone when this command ends, proven or not."
            " Name a file, with --database PATH."
        )
    if not text or "\0" in text:
        raise UsageError(f"{text!r} is no path for a database. Name a file, with --database PATH.")
    path = _path(text)
    first = "init" if task == VERIFY else PRAGMA
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise UsageError(f"{path} is a link to a file that does not exist. Mend it.") from None
        if task in ("init", PRAGMA):
            return path
        raise UsageError(f"there is no database at {path}. Run `invoke {first}` first.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be a database: {error.strerror}. Name another.") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise UsageError(f"{path} is {kind}. Name a file, with --database PATH.")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{path} may not be read by this user. Run as the user who owns it.")
    return path


def _check_order(task: str, database: Path) -> None:
    """Raise UsageError when `task` is one step and what it builds upon is not there."""
    if task in ("init", PRAGMA, VERIFY):
        return
    try:
        with closing(connect(database, "ro")) as connection:
            needed = PRAGMA if unsettled(connection) else None
            needed = needed or needed_first(declared(), read_schema(connection), task)
    except sqlite3.Error:
        return  # the step meets the same error, and tells it in full
    if needed:
        raise UsageError(
            f"{task} builds upon what {needed} makes, and that is not there."
            f" Run `invoke {needed}` first, or `invoke init` for all steps; nothing was touched."
        )


def _read_back(database: Path) -> Schema | None:
    try:
        with closing(connect(database, "ro")) as connection:
            return read_schema(connection)
    except sqlite3.Error:
        return None


def _silent(_: str) -> None:
    pass


def _say(text: str, stream: TextIO | None = None) -> None:
    """Print at once. That nobody can read it (a closed pipe, a full disk) stops no work."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "ascii"
    try:
        # A path may have bytes that no terminal can show.
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError:
        # What is left in the buffer would fail again, with a trace, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _line(step: Step, run: Run) -> str:
    if step.status == "skipped":
        return f"{step.name:<15} skipped"
    if step.error:
        what = f"FAILED: {str(step.error).splitlines()[0]}"
    elif step.name == VERIFY:
        number = len(run.checks or ())
        what = f"FAILED: {len(run.faults)} of {number} checks" if run.faults else ""
        what = what or f"{number} checks passed"
    else:
        what = what_changed(step.ran) or "unchanged"
    return f"{step.name:<15} {what:<40} {step.duration_ms:>6.0f} ms"


def _check_lines(run: Run) -> Iterator[str]:
    """The findings of the checks that did not simply pass."""
    for check in run.checks or ():
        if check.status != "pass":
            yield f"  {check.status}: {check.name}"
            yield from (f"    {finding}" for finding in check.findings)


def _failure_lines(run: Run, error: Exception) -> list[str]:
    cause = explain(error, run.database)
    name = run.failed.name if run.failed else ""
    lines = [f"{name} failed: {error}"]
    if run.preserved:
        lines.append(f"likely cause: {cause.cause}")
        lines.append(f"what to do: {cause.remedy}")
        lines.append(f"state preserved in: {run.preserved.folder}")
        lines += [f"not preserved: {line}" for line in run.preserved.lost]
    return lines
