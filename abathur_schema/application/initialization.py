"""How `Database.initialize()` runs the steps: each on one connection; when one fails, the state and
a report are kept, as by `invoke init`.
"""

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from ..declared.declaration import PRAGMA, Declared, chain
from ..errors import InitializationError, UsageError
from ..place import Place
from ..planning.statement import Step
from ..record.chain import run_in
from ..record.conclusion import record
from ..record.draft import BEFORE, Draft
from ..record.run import Run, failure_lines
from ..schema.scratch import exactly
from ..steps.target import Target
from ..storage.connection import read_back
from .connection import lendable


@dataclass
class Initialization:
    """One run of `initialize()`. `reports` is None where nothing can be kept: in memory."""

    path: Place
    reports: Path | None
    declared: Declared
    run: Run = field(init=False)
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        self.run = Run("init", self.path, self.declared)
        self.target = Target(self.path, self.declared, self.run.made, guarded=False)

    @cached_property
    def _draft(self) -> Draft:
        assert self.reports
        return Draft(self.reports, self.run.task, datetime.now(timezone.utc))

    def finish(self) -> None:
        """If a copy was kept, add what ran to it, and write the report that names it."""
        if self.run.copy:
            self.run.live = read_back(self.path, self.declared.settings)
            self._record()

    def _record(self) -> Path:
        with self._draft as draft:
            if lost := record(self.run, draft).lost:
                raise lost
        return draft.path

    def open(self) -> sqlite3.Connection:
        """Run the first step, which creates folder and file if necessary; returns the connection
        for all steps. Raises InitializationError.
        """
        try:
            self._run(PRAGMA)
        except InitializationError:
            self.target.close()
            raise
        return lendable(self.target.connection)

    def do(self, connection: sqlite3.Connection, name: str) -> None:
        """Run a step on a connection that otherwise belongs to the application. Raises
        InitializationError.
        """
        theirs = connection.isolation_level, connection.row_factory, connection.text_factory
        connection.isolation_level, connection.row_factory = None, None
        connection.text_factory = exactly
        self.target.connection = connection
        try:
            self._run(name)
        finally:
            connection.isolation_level, connection.row_factory, connection.text_factory = theirs

    def _run(self, name: str) -> None:
        # For an in-memory database there is no copy to go back to.
        copy_to = (lambda: self._draft.folder(BEFORE)) if self.reports else None
        for _ in run_in(self.run, self.target, name, copy_to):
            pass  # what is about to happen, and violations: the report has them
        step = self.run.steps[-1]
        if step.error:
            raise self._failure(step) from step.error

    def _failure(self, failed: Step) -> InitializationError:
        """Preserve the state and write the report."""
        run = self.run
        steps = chain(run.task, run.declared)[:-1]  # without verify
        run.steps += [Step(name, skipped=True) for name in steps[steps.index(failed.name) + 1 :]]
        report, lost = None, []
        if self.reports:
            run.live = read_back(self.path, self.declared.settings)
            try:
                report = self._record()
            except (OSError, UsageError) as error:
                lost.append(f"the report could not be written: {error}")
        lines = [*failure_lines(run), *lost, *([f"report: {report}"] if report else [])]
        return InitializationError("\n".join(lines), failed.name, report, run.state_folder)
