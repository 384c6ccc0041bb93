"""What each task does, from its options to its exit code; every task ends here."""

import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

from . import preflight
from .connection import connect
from .diagnosis import explain
from .errors import VERIFY_FAILED, AbathurError, Interrupted, StepError, UsageError
from .interruption import interrupted, listening
from .progress import Progress
from .report import Draft, compose, to_json, without_trace
from .run import CHAINS, VERIFY, Run, what_changed
from .schema import Schema, read_schema
from .steps import Attempt, Step, Target, run_step
from .verification import verify

MAX_SHOWN = 20
"""How many findings of one check are printed; the report has more."""

CONTROL = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}
"""Control characters but the new line, and how they are shown."""


def run_task(task: str, database: object, reports: object, as_json: bool) -> int:
    """Run a task and return its exit code.

    `database` and `reports` are paths as the user or the configuration gave them. Prints a line
    for each step, or with `as_json` only the report; errors go to standard error.
    """
    try:
        with listening():
            request = preflight.check(task, database, reports)
            draft = Draft(request.reports, task, datetime.now(timezone.utc))
            try:
                preflight.check_order(task, request.database)
                return _finish(_run(task, request.database, as_json), draft, as_json)
            finally:
                draft.discard()
    except AbathurError as error:
        _say(str(error), sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # the second one
        return interrupted().exit_code


def _run(task: str, database: Path, as_json: bool) -> Run:
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
            if not as_json:
                _say(_line(step, run))
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
    shown = [] if as_json else [*_check_lines(run)]
    wrong = [*_failure_lines(run)]
    lost = None
    try:
        draft.write(content)
        shown.append(content.rstrip() if as_json else f"report: {draft.path}")
    except OSError as error:
        lost = error
        wrong.append(f"the report could not be written: {error}; it would be:")
        wrong.append(without_trace(content))
    for line in shown:
        _say(line)
    for line in wrong:
        _say(line, sys.stderr)
    if failed and isinstance(failed.error, Interrupted):
        return failed.error.exit_code
    if failed or lost:
        return StepError.exit_code
    return VERIFY_FAILED if run.faults else 0


def _read_back(database: Path) -> Schema | None:
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
    encoding = stream.encoding or "ascii"
    try:
        # A path may have bytes that no terminal can show, and a name in a database of somebody else
        # signs that a terminal would obey.
        shown = text.translate(CONTROL).encode(encoding, "backslashreplace").decode(encoding)
        print(shown, file=stream, flush=True)
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
            yield from (f"    {finding}" for finding in check.findings[:MAX_SHOWN])
            if check.count > MAX_SHOWN:
                yield f"    and {check.count - MAX_SHOWN} more; see the report"


def _failure_lines(run: Run) -> Iterator[str]:
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
