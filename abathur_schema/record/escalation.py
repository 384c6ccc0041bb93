"""`escalation.md`: what a person or an agent needs in order to take over after a failed step."""

from ..diagnosis import trace
from .environment import environment
from .run import Run


def escalation(run: Run) -> str:
    """The text for a run with a failed step."""
    step, state = run.failed, run.preserved
    assert step
    assert step.error
    assert state
    cause = run.explained(step.error)
    running = step.attempts[-1].running
    states = "\n".join(f"| {one.name} | {one.status} |" for one in run.steps)
    attempts = "\n".join(
        f"{number}. {len(attempt.ran)} statements ran, then: {attempt.error}. Rolled back."
        for number, attempt in enumerate(step.attempts, 1)
    )
    place = "\n".join(
        f"- {key}: {value}" for key, value in environment(run.task, run.database).items()
    )
    notes = "".join(f"- {line}\n" for line in state.notes)
    lost = notes + "".join(f"- not preserved: {line}\n" for line in state.lost)
    return f"""# {step.name} failed on {run.database}

## Current state

{run.summary()}

| step | status |
| --- | --- |
{states}

- last milestone reached: {run.completion or "none"}
{lost}
## Error

Likely cause: {cause.cause}.

While running:

```sql
{running.sql if running else "-- no statement was running"}
```

```text
{trace(step.error).rstrip()}
```

## Attempted solutions

{attempts}

## What to do

{cause.remedy}.

## Environment

{place}

## Success criteria

- {run.concrete(f"`invoke {run.again}`")} exits 0.
- {run.concrete("`invoke verify`")} exits 0.
- No row that is in `database.db` here is missing there.
"""
