"""What each task does, from its options to its exit code; every task ends here."""

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from shlex import quote
from typing import TextIO

from . import preflight
from .connection import connect
from .diagnosis import explain
from .errors import VERIFY_FAILED, AbathurError, Interrupted, StepError, UsageError
from .foreign_keys import Violations
from .interruption import interrupted, listening
from .naming import as_called
from .progress import Progress
from .report import BEFORE, REPLACED, Draft, compose, to_json, without_trace
from .run import CHAINS, PLAN, RESTORE, VERIFY, Run, what_changed
from .schema import Schema, read_schema
from .steps import Attempt, Step, Target, run_step
from .terminal import on_one_line, shown
from .verification import verify

MAX_SHOWN = 20
"""How many findings of one check are printed; the report has more."""


def run_task(
    task: str, database: object, reports: object, as_json: bool, *, backup: bool = True
) -> int:
    """Run a task and return its exit code.

    `database` and `reports` are paths as the user or the configuration gave them. Prints a line
    for each step, or with `as_json` only the report; errors go to standard error. Without `backup`
    no copy is kept before rows are written anew.
    """

    def work() -> int:
        request = preflight.check(task, database, reports)
        draft = Draft(request.reports, task, datetime.now(timezone.utc))
        try:
            preflight.check_format(task, request.database)
            preflight.check_database(task, request.database)
            run = Run(task, request.database)
            _run(run, as_json, draft.folder(BEFORE) if backup else None)
            return _finish(run, draft, as_json)
        finally:
            draft.discard()

    return _exit_code(work)


def run_plan(database: object, reports: object, as_json: bool) -> int:
    """Print what `init` would run, and return 0 when that is nothing, or 1."""

    def work() -> int:
        from .show_plan import look  # only this task pays for its import

        request = preflight.check(PLAN, database, reports)
        preflight.check_format(PLAN, request.database)
        preflight.check_database(PLAN, request.database)
        found = look(request.database)
        (_say if as_json else _write)(found.to_json() if as_json else found.to_sql())
        for line in found.blocked():
            _say(line, sys.stderr)
        return 1 if found.has_work else 0

    return _exit_code(work)


def run_restore(state: object, database: object, reports: object, as_json: bool) -> int:
    """Put a preserved state in the place of the database, and return the exit code."""

    def work() -> int:
        from .restore import check_state, restore  # only this task pays for its import

        request = preflight.check(RESTORE, database, reports)
        folder = check_state(state, request.database)
        draft = Draft(request.reports, RESTORE, datetime.now(timezone.utc))
        try:
            run = Run(RESTORE, request.database)
            progress = Progress(sys.stderr)
            try:
                run.steps.append(restore(run, folder, draft.folder(REPLACED), progress))
            finally:
                progress.done()
            if not as_json:
                _say_step(run.steps[0], run)
            return _finish(run, draft, as_json)
        finally:
            draft.discard()

    return _exit_code(work)


def _exit_code(work: Callable[[], int]) -> int:
    """Run a task to its exit code; errors of ours are told on standard error and have their own."""
    try:
        with listening():
            return work()
    except AbathurError as error:
        _say(str(error), sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # the second one
        return interrupted().exit_code


def _run(run: Run, as_json: bool, copy_folder: Path | None) -> None:
    task, database = run.task, run.database
    progress = Progress(sys.stderr)
    target = Target(database, run.made, progress, asks_rows=VERIFY in CHAINS[task])

    def before_rewrite() -> None:
        if copy_folder:
            from .preserved import keep_copy  # only a rebuild pays for its import

            progress.now("keeping a copy of the database")
            keep_copy(run, copy_folder)

    def before_change(found: Violations) -> None:
        run.violations = found
        progress.done()
        for line in _violation_lines(run):
            _say(line, sys.stderr)

    target.before_rewrite, target.before_change = before_rewrite, before_change
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
            if not as_json:
                _say_step(step, run)
        if run.checks is None:
            run.live = read_back(database)
    finally:
        progress.done()
        target.close()


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
    content = concluded(run, draft)
    lines = [] if as_json else [*_check_lines(run)]
    if run.copy and not as_json:
        lines.append(f"a copy of what was there before: {run.copy.folder}")
    wrong = [*failure_lines(run)]
    lost = None
    try:
        draft.write(content)
        lines.append(content.rstrip() if as_json else f"report: {draft.path}")
    except OSError as error:
        lost = error
        wrong.append(f"the report could not be written: {error}; it would be:")
        wrong.append(without_trace(content))
    for line in lines:
        _say(line)
    for line in wrong:
        _say(line, sys.stderr)
    if failed and isinstance(failed.error, Interrupted):
        return failed.error.exit_code
    if failed or lost:
        return StepError.exit_code
    return VERIFY_FAILED if run.faults else 0


def concluded(run: Run, draft: Draft) -> str:
    """The text of the report, when all that belongs into the folders beside it is kept there."""

    def content() -> str:
        if run.failed and not isinstance(run.failed.error, Interrupted):
            from .preserved import preserve  # only a failure pays for its import

            return preserve(run, draft.folder())
        return to_json(compose(run))

    if run.copy:
        from .preserved import complete_copy

        return complete_copy(run, content)
    return content()


def read_back(database: Path) -> Schema | None:
    """The live schema, or None when it cannot be read."""
    try:
        with closing(connect(database, "ro")) as connection:
            return read_schema(connection)
    except Exception:  # the report then says that nothing is reached
        return None


def _say(text: str, stream: TextIO | None = None) -> None:
    """Print at once. That nobody can read it (a closed pipe, a full disk) stops no work."""
    stream = stream or sys.stdout
    if stream is None:  # closed before this program began
        return
    text = as_called(text)
    encoding = stream.encoding or "ascii"
    try:
        # A path may have bytes that no terminal can show.
        line = shown(text).encode(encoding, "backslashreplace").decode(encoding)
        print(line, file=stream, flush=True)
    except OSError:
        _fall_silent(stream)


def _write(sql: str) -> None:
    """Print SQL to be run, byte for byte; on a terminal it is to be read, and can do no harm."""
    if sys.stdout is None or sys.stdout.isatty():
        _say(sql)
        return
    content = f"{sql}\n".encode("utf-8", "surrogateescape")
    try:
        sys.stdout.flush()
        if hasattr(sys.stdout, "buffer"):
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:  # a caller has put something else in its place
            sys.stdout.write(content.decode("utf-8", "replace"))
    except OSError:
        _fall_silent(sys.stdout)


def _fall_silent(stream: TextIO) -> None:
    # What is left in the buffer would fail again, with a trace, when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say_step(step: Step, run: Run) -> None:
    _say(_line(step, run))
    for note in step.notes:
        _say(f"  note: {on_one_line(note)}", sys.stderr)


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
            yield from (f"    {on_one_line(finding)}" for finding in check.findings[:MAX_SHOWN])
            if check.count > MAX_SHOWN:
                yield f"    and {check.count - MAX_SHOWN} more; see the report"
    for remedy in run.remedies:
        yield f"  what to do: {remedy}"


def _violation_lines(run: Run) -> Iterator[str]:
    """What to know of rows that had no parent before this run changed anything."""
    found = run.violations
    if found and found.total:
        yield f"violations of foreign keys that were there before: {found.total}"
        yield from (f"  {on_one_line(line)}" for line in found.first)
        if found.total > len(found.first):
            yield f"  and {found.total - len(found.first)} more"
        yield "  this run makes none and mends none; verify fails on them. To list them all:"
        yield f'    sqlite3 {quote(str(run.database))} "PRAGMA foreign_key_check"'
        yield "  To mend one: add its parent, set its column to NULL, or delete the row."


def failure_lines(run: Run) -> Iterator[str]:
    """What failed, why, and what to do; nothing when all steps succeeded."""
    if not run.failed or not run.failed.error:
        return
    yield f"{run.failed.name} failed: {run.failed.error}"
    if run.preserved:
        cause = explain(run.failed.error, run.database)
        yield f"likely cause: {cause.cause}"
        yield f"what to do: {cause.remedy}"
        if run.state_folder:
            yield f"state preserved in: {run.state_folder}"
        yield from (f"note: {line}" for line in run.preserved.notes)
        yield from (f"not preserved: {line}" for line in run.preserved.lost)
