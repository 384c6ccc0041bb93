"""What each task does, from its options to its exit code; every task ends here."""

import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from ..declared.declaration import CHAINS, PLAN, RESTORE, VERIFY
from ..diagnosis import explain
from ..errors import VERIFY_FAILED, AbathurError, Interrupted, StepError, UsageError
from ..interruption import interrupted, listening
from ..planning.statement import Attempt, Step
from ..progress import Progress
from ..proof.verification import verify
from ..record.conclusion import concluded
from ..record.draft import BEFORE, REPLACED, Draft
from ..record.report import without_trace
from ..record.run import Run, failure_lines
from ..steps import preflight
from ..steps.execution import run_step
from ..steps.target import Target
from ..storage.connection import read_back
from ..storage.foreign_keys import Violations
from .output import check_lines, say, say_step, violation_lines, write_sql


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
        (say if as_json else write_sql)(found.to_json() if as_json else found.to_sql())
        for line in found.blocked():
            say(line, sys.stderr)
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
                say_step(run.steps[0], run)
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
        say(str(error), sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # the second one
        return interrupted().exit_code


def _run(run: Run, as_json: bool, copy_folder: Path | None) -> None:
    task, database = run.task, run.database
    progress = Progress(sys.stderr)
    target = Target(database, run.made, progress, asks_rows=VERIFY in CHAINS[task])

    def before_rewrite() -> None:
        if copy_folder:
            from ..record.preserved import keep_copy  # only a rebuild pays for its import

            progress.now("keeping a copy of the database")
            keep_copy(run, copy_folder)

    def before_change(found: Violations) -> None:
        run.violations = found
        progress.done()
        for line in violation_lines(run):
            say(line, sys.stderr)

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
                say_step(step, run)
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
    lines = [] if as_json else [*check_lines(run)]
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
        say(line)
    for line in wrong:
        say(line, sys.stderr)
    if failed and isinstance(failed.error, Interrupted):
        return failed.error.exit_code
    if failed or lost:
        return StepError.exit_code
    return VERIFY_FAILED if run.faults else 0
