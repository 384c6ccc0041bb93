"""`statements.sql`: the statements that ran, as a script."""

from collections.abc import Iterator, Sequence

from ..declared.declaration import PRAGMA, Settings
from ..planning.plan import COMMIT, ROLL_BACK, changes_text, framed
from ..planning.statement import Attempt, Step
from ..schema.text import for_command_line


def statements_sql(steps: Sequence[Step], settings: Settings) -> str:
    """The statements that ran, in order and by step, as a script; the one that failed is marked."""
    lines = ["-- What ran, in order; each step is one transaction.\n"]
    if any(changes_text(attempt.planned) for step in steps for attempt in step.attempts):
        lines.append("-- In the command line of sqlite3 run `.dbconfig defensive off` first.\n")
    lines += [setting.statement for setting in settings]
    for step in steps:
        lines.append(f"\n-- step {step.name}: {step.status}")
        for number, attempt in enumerate(step.attempts, 1):
            if len(step.attempts) > 1:
                lines.append(f"-- attempt {number}: {_on_one_line(attempt.error) or 'done'}")
            if attempt.ran or attempt.running:
                lines += _attempt_sql(step, attempt)
    return for_command_line("\n".join(lines) + "\n")


def _attempt_sql(step: Step, attempt: Attempt) -> Iterator[str]:
    before, after = framed(attempt.planned) if step.name != PRAGMA else ([], [])
    if attempt.running in before:  # the transaction never began
        before = before[: before.index(attempt.running)]
        after = []
    yield from (statement.sql for statement in (*before, *attempt.ran))
    if attempt.running:
        error = _on_one_line(attempt.error)
        yield f"-- >>> THIS STATEMENT FAILED: {error}\n{attempt.running.sql}"
    if attempt.error and after and attempt.running is not COMMIT:
        after = [ROLL_BACK, *after[1:]]
    elif attempt.error:
        after = after[1:]
    yield from (statement.sql for statement in after)


def _on_one_line(error: Exception | None) -> str:
    return " ".join(str(error or "").split())
