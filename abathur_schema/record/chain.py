"""Run the steps of a task, one after the other."""

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from ..declared.declaration import VERIFY, chain
from ..errors import Interrupted, UsageError
from ..planning.statement import Attempt, Statement, Step
from ..progress import Progress
from ..proof.verification import verify
from ..steps.execution import run_step
from ..steps.target import Target
from ..storage.connection import read_back
from ..storage.foreign_keys import Violations
from .run import Run

CopyFolder = Callable[[], Path]
"""Returns the folder for the copy made before rows are rewritten; called only when needed."""


def run_chain(
    run: Run, target: Target, copy_to: CopyFolder | None
) -> Generator[Violations | Statement | Step, None, None]:
    """Run all steps of the task, up to the first that fails.

    Yields the foreign key violations that exist before the first change, where they are looked for,
    each statement before it runs, and each step when it has ended. Without `copy_to` no copy is
    kept. Raises UsageError where `verify` cannot learn anything.
    """
    progress = target.progress
    try:
        for name in chain(run.task, run.declared):
            progress.now(name)
            if run.failed:
                run.steps.append(Step(name, skipped=True))
            elif name == VERIFY:
                run.steps.append(_verified(run, progress))
            else:
                yield from run_in(run, target, name, copy_to)
            progress.done()
            yield run.steps[-1]
        if run.checks is None:
            run.live = read_back(run.database, run.declared.settings)
    finally:
        progress.done()


def run_in(
    run: Run, target: Target, name: str, copy_to: CopyFolder | None
) -> Generator[Violations | Statement, None, None]:
    """Run one step as part of `run`, copying the database before the first row is rewritten."""
    with closing(run_step(target, name)) as events:
        try:
            event = next(events)
            while True:
                try:
                    if isinstance(event, Statement):
                        if event.rewrites and copy_to and not run.copy:
                            target.progress.now("keeping a copy of the database")
                            _keep_copy(run, copy_to())
                        yield event
                    elif run.violations is None:
                        run.violations = event
                        target.progress.done()
                        yield event
                except Exception as error:  # such as a failed copy
                    event = events.throw(error)  # makes the step fail
                else:
                    event = next(events)
        except StopIteration as end:
            run.steps.append(end.value)


def _keep_copy(run: Run, folder: Path) -> None:
    from .preserved import keep_copy  # only a rebuild pays for this import

    keep_copy(run, folder)


def _verified(run: Run, progress: Progress) -> Step:
    started = time.perf_counter()
    attempt = Attempt()
    try:
        run.checks, run.live, run.rows = verify(run.database, run.declared, progress)
        run.declared = run.declared.chosen(run.live) if run.live else run.declared
    except Interrupted as error:
        attempt.error = error
    except sqlite3.OperationalError as error:
        if run.task == VERIFY:
            cause = run.explained(error)
            raise UsageError(
                f"{run.database} cannot be read ({error}): {cause.cause}. Nothing is known about"
                f" it; {cause.remedy}."
            ) from error
        attempt.error = error
    milliseconds = (time.perf_counter() - started) * 1000
    return Step(VERIFY, [attempt], milliseconds, failed_checks=len(run.faults))
