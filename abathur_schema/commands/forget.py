"""`forget`, from its options to its exit code."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone

from ..declared.retention import Rule, age, read_rules
from ..errors import UsageError
from ..interruption import interrupted, stop_asked
from ..place import unless_default
from ..planning.statement import Attempt, Step
from ..progress import Progress
from ..record.conclusion import exit_code, record
from ..record.draft import Draft
from ..record.run import Run
from ..schema.reading import read_schema
from ..schema.scratch import trust
from ..steps import preflight
from ..storage.connection import connect, read_back
from ..upkeep.forget import Forgetting
from ..upkeep.old_rows import Old, before, old
from .forms import JSON, TEXT
from .output import Manner, say, say_end, say_step
from .reading import readable
from .tasks import told
from .usage import LEFT_OUT

FORGET = "forget"
ALL = "all"


@told
def run_forget(
    rules: object,
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    older_than: object = None,
    dry_run: bool = False,
) -> int:
    """Remove what is old by the named rules, and return the exit code; without a rule, or with
    `dry_run`, only say what they would remove.
    """
    path, place, declared = preflight.check_file(FORGET, database, reports, schema)
    chosen = _chosen(read_rules(declared), None if rules == LEFT_OUT else rules)
    limits = _limits(chosen, older_than)
    asked = [str(rules)] if older_than is None else [str(rules), "--older-than", str(older_than)]
    run = Run(FORGET, path, declared, asked, reports=unless_default(place), preserves=False)
    only_looks = dry_run or rules in (None, LEFT_OUT)
    progress = Progress(sys.stderr)
    progress.now(f"{FORGET}: looking")
    try:
        expected = readable(path, lambda: _look(run, chosen, limits))
    finally:
        progress.done()
    if as_json and only_looks:
        say(json.dumps([one.to_json() for one in expected], indent=2))
    elif not as_json:
        for one in expected:
            say(_line(one))
    if only_looks:
        if not as_json:
            how = run.here("To forget it, name the rules: `invoke forget RULE,RULE`")
            say(f"nothing was forgotten. {how}")
        return 0
    manner = Manner(JSON if as_json else TEXT)
    with Draft(place, FORGET, datetime.now(timezone.utc)) as draft:
        for rule, limit in zip(chosen, limits, strict=True):
            first = len(run.steps)
            if run.failed:
                run.steps.append(Step(rule.name, skipped=True))
            else:
                run.steps.extend(_forget(run, rule, limit, progress))
            for step in run.steps[first:] if not as_json else ():
                say_step(step, run, manner)
        run.live = read_back(path, declared.settings)
        recorded = record(run, draft)
        say_end(run, recorded, draft.path, manner)
        return exit_code(run, recorded)


def _chosen(rules: Sequence[Rule], names: object) -> list[Rule]:
    if names in (None, ALL):
        return [*rules]
    known = {rule.name: rule for rule in rules}
    asked = [name.strip() for name in str(names).split(",")]
    for name in asked:
        if name not in known:
            raise UsageError(
                f"{name!r} is not a rule of sql/retention/. Name some of {', '.join(known)},"
                f" separated by commas, or {ALL}; nothing was touched."
            )
    return [rule for rule in rules if rule.name in asked]


def _limits(rules: Sequence[Rule], older_than: object) -> list[str]:
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    try:
        limit = None if older_than is None else _age_or_time(str(older_than))
        limits = [before(now, rule, limit) for rule in rules]
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{older_than!r} is neither an age nor a time. Name one such as 12h, 90d, 8w or"
            " 2026-01-31, with --older-than AGE; nothing was touched."
        ) from error
    # What is written from now on stays: the row of the trail that tells of it, too.
    if isinstance(limit, datetime) and limit > now:
        raise UsageError(
            f"{older_than!r} is after now, which is {now:%Y-%m-%dT%H:%M:%S} in UTC. Name an earlier"
            " time, with --older-than; nothing was touched."
        )
    return limits


def _age_or_time(text: str) -> timedelta | datetime:
    """An age, or a time in UTC. Raises ValueError."""
    if (found := age(text)) is not None:
        return found
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time.astimezone(timezone.utc).replace(tzinfo=None) if time.tzinfo else time


def _look(run: Run, rules: Sequence[Rule], limits: Sequence[str]) -> list[Old]:
    """What the rules would remove. Raises UsageError where the tables are not as declared: the
    rules count on their foreign keys.
    """
    with closing(connect(run.database, "ro", run.declared.settings)) as connection:
        connection.execute("BEGIN")
        live = run.live = read_schema(connection)
        if any(run.is_open(one) for one in run.declared.steps if not one.endswith("-indexes")):
            raise UsageError(
                f"the tables of {run.database} are not as declared, which the rules count on."
                f" {run.concrete('See `invoke plan`')}; nothing was touched."
            )
        trust(connection)  # only to prepare the statements of the rules
        return [
            old(connection, live, rule, limit) for rule, limit in zip(rules, limits, strict=True)
        ]


def _line(one: Old) -> str:
    hanging = sum(one.hanging.values())
    rows = f"{one.rows:,} rows" + (f" and {hanging:,} on them" if hanging else "")
    limit = one.before.replace("T", " ")
    return f"  {one.rule.name:<16} {f'{rows}, {one.bytes / 1e6:,.1f} MB':<40} before {limit}"


def _forget(run: Run, rule: Rule, limit: str, progress: Progress) -> list[Step]:
    """One step; where it fails after some transactions, a step with what they did comes first."""
    started = time.perf_counter()
    done, failed = Attempt(), Attempt()
    progress.now(f"{FORGET}: {rule.name}")
    try:
        with closing(connect(run.database, "rw", run.declared.settings)) as connection:
            assert run.live
            work = Forgetting(connection, run.declared, run.live, rule, limit, progress)
            try:
                work.run()
            finally:
                if work.gone:
                    done.ran.append(work.statement)
                if work.stays:
                    done.notes.append(
                        f"of {rule.table}, {len(work.stays):,} old rows stay: something of the"
                        " application refers to them, or one of its triggers refuses"
                    )
    except Exception as error:  # of any kind: the report tells
        failed.error = interrupted() if stop_asked() else error
    finally:
        progress.done()
    milliseconds = (time.perf_counter() - started) * 1000
    steps = [Step(rule.name, [done], milliseconds)] if done.ran or not failed.error else []
    return [*steps, *([Step(rule.name, [failed], milliseconds)] if failed.error else [])]
