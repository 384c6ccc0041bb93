"""What `Database.initialize()` does with the steps: it runs each on one connection, and keeps the
state and a report when one fails, as `invoke init` does.
"""

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from ..declared.declaration import PRAGMA, STEPS
from ..errors import InitializationError, UsageError
from ..planning.statement import Step
from ..record.conclusion import concluded
from ..record.draft import BEFORE, Draft
from ..record.preserved import keep_copy
from ..record.run import Run, failure_lines
from ..schema.scratch import exactly
from ..steps.execution import run_step
from ..steps.target import Target
from ..storage.connection import read_back
from .connection import lendable


@dataclass
class Initialization:
    """One run of `initialize()`. `reports` is None where nothing can be kept: in memory."""

    path: Path
    reports: Path | None
    run: Run = field(init=False)
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        self.run = Run("init", self.path)
        self.target = Target(
            self.path, self.run.made, before_rewrite=self._keep_copy, guarded=False
        )

    @cached_property
    def _draft(self) -> Draft:
        assert self.reports
        return Draft(self.reports, self.run.task, datetime.now(timezone.utc))

    def _keep_copy(self) -> None:
        if self.reports:  # of a database in memory there is nothing to go back to
            keep_copy(self.run, self._draft.folder(BEFORE))

    def finish(self) -> None:
        """Where a copy was kept, add to it what ran, and write the report that names it."""
        if self.run.copy:
            self.run.live = read_back(self.path)
            self._record()

    def _record(self) -> Path:
        try:
            self._draft.write(concluded(self.run, self._draft))
        finally:
            self._draft.discard()
        return self._draft.path

    def open(self) -> sqlite3.Connection:
        """Run the first step, which makes the folder and the file where they are not there; the
        connection for all steps. Raises InitializationError.
        """
        try:
            self._note(run_step(self.target, PRAGMA))
        except InitializationError:
            self.target.close()
            raise
        return lendable(self.target.connection)

    def do(self, connection: sqlite3.Connection, name: str) -> None:
        """Run a step on a connection that is otherwise an application's. Raises
        InitializationError.
        """
        theirs = connection.isolation_level, connection.row_factory, connection.text_factory
        connection.isolation_level, connection.row_factory = None, None
        connection.text_factory = exactly
        self.target.connection = connection
        try:
            self._note(run_step(self.target, name))
        finally:
            connection.isolation_level, connection.row_factory, connection.text_factory = theirs

    def _note(self, step: Step) -> None:
        self.run.steps.append(step)
        if step.error:
            raise self._failure(step) from step.error

    def _failure(self, failed: Step) -> InitializationError:
        """Preserve the state and write the report."""
        run = self.run
        run.steps += [Step(name, skipped=True) for name in STEPS[STEPS.index(failed.name) + 1 :]]
        report, lost = None, []
        if self.reports:
            run.live = read_back(self.path)
            try:
                report = self._record()
            except (OSError, UsageError) as error:
                lost.append(f"the report could not be written: {error}")
        lines = [*failure_lines(run), *lost, *([f"report: {report}"] if report else [])]
        return InitializationError("\n".join(lines), failed.name, report, run.state_folder)
