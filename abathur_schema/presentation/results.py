"""What a run or a plan found, as the formats of CI systems need it: results, each with findings at
lines of `sql/` and `checks/`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..declared.declaration import VERIFY
from ..planning.plan import StepPlan
from ..planning.statement import Step
from ..proof.findings import Check
from ..record.run import Run
from .places import Place, Places
from .plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Finding(NamedTuple):
    """One line about what is wrong, and where that is declared, if it is known."""

    text: str
    place: Place | None


class Result(NamedTuple):
    """The outcome of a step or check; `status` is pass, fail, error (a step failed), info or
    skipped; `remedy` says what to do about it.
    """

    name: str
    kind: str
    status: str
    findings: tuple[Finding, ...]
    seconds: float
    remedy: str = ""


def of_run(run: Run) -> list[Result]:
    """The steps of a run, but for `verify`, and its checks."""
    places = Places(run.declared)
    steps = [_of_step(step, run, places) for step in run.steps if not _is_told_by_checks(step)]
    by_text = places.of_findings(run.live) if run.faults else {}
    return [*steps, *(_of_check(check, run, places, by_text) for check in run.checks or ())]


def _is_told_by_checks(step: Step) -> bool:
    return step.name == VERIFY and not step.error and step.status != "skipped"


def _of_step(step: Step, run: Run, places: Places) -> Result:
    if not step.error:
        status = "skipped" if step.status == "skipped" else "pass"
        return Result(step.name, "step", status, (), step.duration_ms / 1000)
    text = plain(str(step.error))
    finding = Finding(text, places.of_words(text))
    return Result(
        step.name, "step", "error", (finding,), step.duration_ms / 1000, run.next_action()
    )


def _of_check(check: Check, run: Run, places: Places, by_text: "Mapping[str, Place]") -> Result:
    own = places.of_checks.get(check.name)
    findings = tuple(
        Finding(plain(text), own or by_text.get(text) or places.of_words(text))
        for text in (check.findings if check.status != "pass" else ())
    )
    seconds = check.duration_ms / 1000
    remedy = run.here(run.filled(check.remedy))
    return Result(check.name, check.kind, check.status, findings, seconds, remedy)


def of_plan(steps: "Sequence[StepPlan]", run: Run) -> list[Result]:
    """The steps of a plan: one that has something to do has failed, as `plan` exits with 1."""
    places = Places(run.declared)
    return [_of_planned(step, places, run.here("run `invoke init`")) for step in steps]


def _of_planned(step: StepPlan, places: Places, remedy: str) -> Result:
    findings = tuple(Finding(text, places.of_words(text)) for text in _reasons(step))
    status = "error" if step.blocked else "fail" if findings else "pass"
    return Result(step.step, "plan", status, findings, 0, remedy if status == "fail" else "")


def _reasons(step: StepPlan) -> Iterator[str]:
    if step.blocked:
        yield plain(str(step.blocked))
    for statement in step.statements:
        yield plain(statement.reason or statement.sql)
