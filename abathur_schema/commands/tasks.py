"""What each task does, from its options to its exit code; all tasks end here."""

import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from functools import wraps
from typing import ParamSpec

from ..declared.declaration import PLAN, RESTORE
from ..errors import AbathurError
from ..interruption import interrupted, listening
from ..planning.statement import Step
from ..progress import Progress
from ..record.chain import run_chain
from ..record.conclusion import exit_code, record
from ..record.draft import BEFORE, REPLACED, Draft
from ..record.run import Run
from ..steps import preflight
from ..steps.target import Target
from .output import say, say_end, say_step, say_violations, write_sql

P = ParamSpec("P")


def _told(task: Callable[P, int]) -> Callable[P, int]:
    """The task, with our errors reported on standard error; each has its own exit code."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            with listening():
                return task(*args, **kwargs)
        except AbathurError as error:
            say(str(error), sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:  # a second Ctrl-C
            return interrupted().exit_code

    return run


@_told
def run_task(
    task: str,
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    backup: bool = True,
) -> int:
    """Run a task and return its exit code.

    `database`, `reports` and `schema` are paths as given by the user or the configuration. Prints a
    line for each step, or with `as_json` only the report; errors go to standard error. Without
    `backup` no copy is kept before rows are rewritten.
    """
    path, folder, declared = preflight.check(task, database, reports, schema)
    with Draft(folder, task, datetime.now(timezone.utc)) as draft:
        preflight.check_format(task, path)
        seen = preflight.check_database(task, path, declared)
        declared = declared.chosen(seen.schema) if seen else declared
        run = Run(task, path, declared)
        progress = Progress(sys.stderr)
        target = Target(path, declared, run.made, progress, task == "init", seen=seen)
        copy_to = (lambda: draft.folder(BEFORE)) if backup else None
        with closing(target), closing(run_chain(run, target, copy_to)) as events:
            for event in events:
                if not isinstance(event, Step):
                    say_violations(event, path)
                elif not as_json:
                    say_step(event, run)
        recorded = record(run, draft)
        say_end(run, recorded, draft.path, as_json=as_json)
        return exit_code(run, recorded)


@_told
def run_plan(database: object, reports: object, as_json: bool, *, schema: object = None) -> int:
    """Print what `init` would run; return 0 if that is nothing, otherwise 1."""
    from .show_plan import look  # only this task pays for the import

    path, _, declared = preflight.check(PLAN, database, reports, schema)
    preflight.check_format(PLAN, path)
    preflight.check_database(PLAN, path, declared)
    found = look(path, declared)
    if as_json:
        say(found.to_json())
    else:
        write_sql(found.to_sql())
    for line in found.blocked():
        say(line, sys.stderr)
    return 1 if found.has_work else 0


@_told
def run_restore(
    state: object, database: object, reports: object, as_json: bool, *, schema: object = None
) -> int:
    """Replace the database by a preserved state, and return the exit code."""
    from .restore import check_state, restore  # only this task pays for the import

    path, folder, declared = preflight.check(RESTORE, database, reports, schema)
    kept = check_state(state, path)
    with Draft(folder, RESTORE, datetime.now(timezone.utc)) as draft:
        run = Run(RESTORE, path, declared)
        progress = Progress(sys.stderr)
        try:
            run.steps.append(restore(run, kept, draft.folder(REPLACED), progress))
        finally:
            progress.done()
        if not as_json:
            say_step(run.steps[0], run)
        recorded = record(run, draft)
        say_end(run, recorded, draft.path, as_json=as_json)
        return exit_code(run, recorded)
