"""`plan`: what `init` would run, as SQL or as data, read from a database and changing nothing."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .connection import connect, scratch, unsettled
from .declared import IN_THE_FILE, PRAGMA, declared
from .diagnosis import explain
from .errors import AbathurError, UsageError
from .plan import StepPlan, framed, plan_all
from .schema import read_schema
from .sql_text import quoted
from .statement import Statement
from .steps import broken_rows, setting_statement


@dataclass(frozen=True)
class Plan:
    """What each step would run. `rows` are the numbers of rows of the tables that would be made
    anew, `broken` the rows that would stop a step, a line for each constraint, by step.
    """

    database: Path
    steps: Sequence[StepPlan]
    rows: dict[str, int]
    broken: dict[str, list[str]]

    @property
    def has_work(self) -> bool:
        """Whether there is something to do, possible or not."""
        return any(step.statements or step.blocked for step in self.steps)

    def blocked(self) -> Iterator[str]:
        """Why `init` would stop, a line each."""
        for step in self.steps:
            if step.blocked:
                yield f"{step.step} would fail: {step.blocked}"
            yield from (
                f"{step.step} would fail: {line}" for line in self.broken.get(step.step, ())
            )

    def to_json(self) -> str:
        """The plan as data."""
        steps = [
            {
                "name": step.step,
                "before": [one.sql for one in _frame(step)[0]],
                "statements": [
                    {"sql": one.sql, "reason": one.reason, "rows": self._rows(one)}
                    for one in step.statements
                ],
                "after": [one.sql for one in _frame(step)[1]],
                "blocked": str(step.blocked) if step.blocked else None,
                "broken_rows": self.broken.get(step.step, []),
            }
            for step in self.steps
        ]
        return json.dumps({"database": str(self.database), "steps": steps}, indent=2)

    def to_sql(self) -> str:
        """The plan as SQL that the `sqlite3` command line runs as it stands."""
        if not self.has_work:
            return f"-- nothing to do: {self.database} is as sql/ declares"
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _comment(f"What `invoke init` would run on {self.database}.")
        yield ""
        # The command line goes on after an error: past a failed copy it would drop the old table.
        yield ".bail on"
        yield from (
            setting.statement for setting in declared().settings if setting.name != IN_THE_FILE
        )
        fails = False
        for step in self.steps:
            if step.blocked or step.statements:
                yield ""
                yield f"-- step {step.step}"
            if step.blocked:
                yield from _comment(f"it would fail: {step.blocked}")
            for line in self.broken.get(step.step, ()):
                yield from _comment(f"it would fail: {line}")
            fails = fails or step.step in self.broken
            for statement in _framed(step):
                rows = self._rows(statement)
                count = "" if rows is None else f" ({rows} rows)"
                yield from _comment(statement.reason + count)
                yield from _comment(statement.sql) if fails else [statement.sql]

    def _rows(self, statement: Statement) -> int | None:
        return self.rows.get(statement.table) if statement.rewrites else None


def look(database: Path) -> Plan:
    """Plan all steps for a database, or for a file that does not exist yet.

    Raises UsageError when it cannot be read.
    """
    try:
        if not database.exists():
            with closing(scratch()) as connection:
                return _plan(connection, database)
        with closing(connect(database, "ro")) as connection:
            return _plan(connection, database)
    except AbathurError:
        raise
    except Exception as error:  # whatever stands in the schema of somebody else's file
        cause = explain(error, database)
        raise UsageError(
            f"{database} cannot be read ({error}): {cause.cause}. Nothing was touched;"
            f" {cause.remedy}."
        ) from error


def _plan(connection: sqlite3.Connection, database: Path) -> Plan:
    connection.execute("BEGIN")
    live = read_schema(connection)
    modes = unsettled(connection)
    if not database.exists():
        modes = [(setting, "delete") for setting in declared().settings]  # as SQLite makes a file
    pending = [
        setting_statement(setting, value) for setting, value in modes if setting.name == IN_THE_FILE
    ]
    steps = [StepPlan(PRAGMA, pending), *plan_all(declared(), live)]
    rows = {
        one.table: connection.execute(f"SELECT count(*) FROM {quoted(one.table)}").fetchone()[0]
        for step in steps
        for one in step.statements
        if one.rewrites and one.table
    }
    broken = {step.step: list(_broken(connection, step)) for step in steps}
    return Plan(database, steps, rows, {step: lines for step, lines in broken.items() if lines})


def _broken(connection: sqlite3.Connection, step: StepPlan) -> Iterator[str]:
    for guard in (guard for statement in step.statements for guard in statement.guards):
        try:
            yield from broken_rows(connection, guard)
        except sqlite3.OperationalError:
            continue  # it asks for what earlier statements of the step make


def _frame(step: StepPlan) -> tuple[list[Statement], list[Statement]]:
    """What runs before and after the statements of a step."""
    return framed(step.statements) if step.statements and step.step != PRAGMA else ([], [])


def _framed(step: StepPlan) -> list[Statement]:
    before, after = _frame(step)
    return [*before, *step.statements, *after]


def _comment(text: str) -> list[str]:
    return [f"-- {line}" for line in text.splitlines()]
