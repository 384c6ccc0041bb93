"""What is known about one run, and the wording for it; the report is built from nothing else."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..causes import Cause
from ..declared.declaration import BACKUP, MILESTONES, Declared
from ..diagnosis import explain, filled, here, options_for, with_options
from ..errors import Interrupted
from ..place import Place
from ..planning.statement import Statement, Step
from ..proof.findings import Check
from ..schema.difference import differences
from ..schema.model import Schema
from ..storage.foreign_keys import Violations
from ..wording import quote

if TYPE_CHECKING:  # only a failure imports it
    from ..storage.kept import PreservedState


class Run:
    """One run of a task. `declared` is what must exist; `asked` are its arguments beside the paths,
    with which it does the same `again`; `checks` is None if `verify` did not run; `made` are the
    folders and files that the run created; `live` is the schema read back at the end (None:
    unreadable); `violations` are the foreign key violations that existed before any change, where
    they were looked for; `copy` was kept before rows were rewritten; `rows` are counted by
    `verify`, by table; `reports` is the folder for reports, unless it is the default one;
    `preserves` is false for a task whose failure leaves the database as it was.
    """

    checks: list[Check] | None = None
    preserved: "PreservedState | None" = None
    copy: "PreservedState | None" = None
    violations: Violations | None = None
    rows: Mapping[str, int] | None = None

    def __init__(
        self,
        task: str,
        database: Place,
        declared: Declared,
        asked: Iterable[str] = (),
        *,
        live: Schema | None = None,
        reports: Path | None = None,
        preserves: bool = True,
    ) -> None:
        self.task, self.database, self.declared = task, database, declared
        self.live, self.reports, self.preserves = live, reports, preserves
        self.again = " ".join([task, *map(quote, asked)])
        self.steps: list[Step] = []
        self.made: list[Path] = []

    @property
    def file(self) -> Path:
        """The database of a task that only works on a file."""
        assert isinstance(self.database, Path)
        return self.database

    @property
    def failed(self) -> Step | None:
        """The step that failed, whose `error` says why."""
        return next((step for step in self.steps if step.error), None)

    @property
    def faults(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks or () if check.status == "fail"]

    @property
    def remedies(self) -> list[str]:
        """What to do about the failed checks; no duplicates, and no prefix of another remedy."""
        found = dict.fromkeys(self.filled(check.remedy) for check in self.faults)
        return [
            one for one in found if not any(one != part and one.startswith(part) for part in found)
        ]

    @property
    def ran(self) -> list[Statement]:
        """The statements that took effect, in order."""
        return [statement for step in self.steps for statement in step.ran]

    def delivered(self, deliverable: str) -> list[str]:
        """The names in one of the report's `deliverables`."""
        return [name for one in self.ran for made, name in one.made if made == deliverable]

    @property
    def state_folder(self) -> Path | None:
        """Where the state is preserved, if any of it is."""
        return self.preserved.folder if self.preserved and self.preserved.files else None

    @property
    def status(self) -> str:
        """SUCCESS, PARTIAL (some steps succeeded) or FAILURE (none did)."""
        if not self.failed and not self.faults:
            return "SUCCESS"
        done = any(step.status in ("changed", "unchanged") for step in self.steps)
        return "PARTIAL" if done else "FAILURE"

    @property
    def completion(self) -> str | None:
        """The last milestone that the database has reached, as read back."""
        reached = [name for name, steps in MILESTONES.items() if not any(map(self.is_open, steps))]
        return reached[-1] if reached else None

    @property
    def complete(self) -> bool:
        """Whether every table and index is as declared."""
        return not any(self.is_open(step) for step in self.declared.steps)

    def is_open(self, step: str) -> bool:
        """Whether an object of `step` is missing or not as declared."""
        if self.live is None:
            return True
        return bool(differences(self.declared.schema, self.live, self.declared.objects(step)))

    def next_action(self) -> str:
        """What the next person or agent should do."""
        if self.failed and self.failed.error:
            return self.explained(self.failed.error).remedy
        if self.faults:
            remedies = self.concrete("; ".join(self.remedies))
            return f"read the findings of the failed checks; {remedies}"
        if self.complete:
            return "none: applications may use the database"
        step = next(step for step in self.declared.steps if self.is_open(step))
        return self.concrete(
            f"run `invoke {step}`, or `invoke init` for everything that is missing"
        )

    def explained(self, error: BaseException) -> Cause:
        """The likely cause of an error of this run, and what to do about it."""
        return explain(error, self.database, self.again, self.options)

    def filled(self, remedy: str) -> str:
        """A remedy with the paths and the task of this run filled in."""
        return filled(remedy, self.database, self.again)

    @property
    def options(self) -> str:
        """The options by which another task works on the same, in the same way."""
        return options_for(self.database, self.reports, self.declared.own)

    def concrete(self, text: str) -> str:
        """A text in which each `invoke TASK` has the options that this run had."""
        return with_options(text, self.options, self.again)

    def here(self, text: str) -> str:
        """The same for who is in this folder, where a command may take the paths by itself."""
        return here(text, self.database, self.reports, self.declared.own, self.again)

    def blockers(self) -> Iterator[str]:
        """What prevented success, one line each."""
        if self.failed:
            yield f"{self.failed.name}: {self.failed.error}"
        for check in self.faults:
            yield f"{check.name}: {check.findings[0]}"

    def parents_first(self) -> Iterator[str]:
        """The tables that were created early because others reference them."""
        for step in self.steps:
            for made, name in (pair for statement in step.ran for pair in statement.made):
                home = self.declared.step_of(name) if made == "tables_created" else step.name
                if home != step.name:
                    yield f"{name} (declared in {home}) made by {step.name}, as a parent"

    def summary(self) -> str:
        """One or two sentences that are true of this run."""
        name = self.database.name
        if self.failed:
            last = [step.name for step in self.steps if step.status in ("changed", "unchanged")]
            before = "as a new, empty file" if self.database in self.made else "as it was before"
            where = f"as {last[-1]} left it" if last else before
            state = f", and is preserved in {self.state_folder}" if self.state_folder else ""
            error = str(self.failed.error).splitlines()[0].rstrip(".:")
            return f"{self.failed.name} failed: {error}. {name} remains {where}{state}."
        changed = what_changed(self.ran)
        done = f"{name}: {changed} by {self.task}." if changed else f"{name}: nothing was changed."
        if self.copy:
            what = "The backup" if self.task == BACKUP else "A copy of the previous state"
            done += f" {what} is in {self.copy.folder}."
        if self.checks is None:
            return done
        if self.faults:
            names = "; ".join(check.name for check in self.faults[:5])
            return f"{done} {len(self.faults)} of {len(self.checks)} checks failed: {names}."
        return f"{done} All {len(self.checks)} checks passed."


def what_changed(ran: list[Statement]) -> str:
    """A summary such as `1 table made, 18 indexes made`; empty if nothing changed."""
    words = {
        "databases_restored": ("database", "put back"),
        "upgrades_run": ("upgrade", "run"),
        "tables_created": ("table", "made"),
        "tables_rebuilt": ("table", "rebuilt"),
        "tables_changed": ("table", "changed"),
        "columns_added": ("column", "added"),
        "indexes_dropped": ("index", "dropped"),
        "indexes_created": ("index", "made"),
        "views_created": ("view", "made"),
        "triggers_created": ("trigger", "made"),
    }
    all_made = [pair for statement in ran for pair in statement.made]
    parts = [name for made, name in all_made if made in ("settings_changed", "rows_deleted")]
    for deliverable, (noun, verb) in words.items():
        if count := sum(made == deliverable for made, _ in all_made):
            plural = {"index": "indexes"}.get(noun, f"{noun}s")
            parts.append(f"{count} {noun if count == 1 else plural} {verb}")
    return ", ".join(parts)


def failure_lines(run: Run) -> Iterator[str]:
    """What failed, why, and what to do; nothing if all steps succeeded."""
    if not run.failed or not run.failed.error:
        return
    yield f"{run.failed.name} failed: {run.failed.error}"
    if isinstance(run.failed.error, Interrupted):
        return
    if run.preserved or not run.preserves:
        cause = run.explained(run.failed.error)
        yield f"likely cause: {cause.cause}"
        yield f"what to do: {cause.remedy}"
    if run.preserved:
        if run.state_folder:
            yield f"state preserved in: {run.state_folder}"
        yield from (f"note: {line}" for line in run.preserved.notes)
        yield from (f"not preserved: {line}" for line in run.preserved.lost)
