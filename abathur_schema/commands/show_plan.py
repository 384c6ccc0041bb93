"""`plan`: print what `init` would run, as SQL or as JSON; reads only."""

import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ..declared.declaration import IN_THE_FILE, PRAGMA, Declared, Settings
from ..errors import StepError
from ..place import Address, Place
from ..planning.plan import StepPlan, changes_text, framed, is_rebuild, plan_all, setting_statement
from ..planning.statement import Statement
from ..planning.usability import works_no_longer
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.scratch import scratch
from ..schema.stand_ins import number_of_rows
from ..schema.text import for_command_line, quoted, string, utf8
from ..steps.execution import broken_rows, told_rows
from ..storage.connection import connect, undisturbed, unsettled
from ..storage.deeds import REBUILD
from ..wording import as_called, shown
from .reading import readable


@dataclass(frozen=True)
class Plan:
    """What each step would run. By step, one line each: `rows` are the row counts of tables to be
    rebuilt, `broken` the rows that would stop it, `notes` whatever else is worth knowing.
    `unchecked` are the tables whose foreign keys SQLite cannot check. `version` is the schema
    version (`PRAGMA schema_version`) for which all this was planned.
    """

    database: Place
    steps: Sequence[StepPlan]
    rows: dict[str, int]
    broken: dict[str, list[str]]
    notes: dict[str, list[str]]
    unchecked: frozenset[str]
    version: int
    settings: Settings

    @property
    def has_work(self) -> bool:
        """Whether there is anything to do, possible or not."""
        return any(step.statements or step.blocked for step in self.steps)

    def summary(self) -> str:
        """What there is to do, in a sentence."""
        if not self.has_work:
            return f"Nothing to do: `{shown(str(self.database))}` is as sql/ declares."
        number = sum(len(step.statements) for step in self.steps)
        stops = sum(bool(step.blocked or self.broken.get(step.step)) for step in self.steps)
        said = f"`invoke init` would run {number} statement{'' if number == 1 else 's'}"
        where = f" on `{shown(str(self.database))}`"
        return (
            f"{said}{where}, and {stops} of its steps would fail." if stops else f"{said}{where}."
        )

    def blocked(self) -> Iterator[str]:
        """Why `init` would stop, one line each."""
        for step in self.steps:
            if step.blocked:
                yield f"{step.step} would fail: {step.blocked}"
            yield from (
                f"{step.step} would fail: {line}" for line in self.broken.get(step.step, ())
            )
            yield from (f"{step.step}: {line}" for line in self.notes.get(step.step, ()))

    def to_json(self) -> str:
        """The plan as JSON."""
        steps = [
            {
                "name": step.step,
                "before": [one.sql for one in _frame(step)[0]],
                "statements": [
                    {
                        "sql": one.sql,
                        "reason": one.reason,
                        "rows": self._rows(one),
                        "guards": [f"SELECT {guard.label} {guard.rows}" for guard in one.guards],
                    }
                    for one in step.statements
                ],
                "after": [one.sql for one in _frame(step)[1]],
                "blocked": str(step.blocked) if step.blocked else None,
                "broken_rows": self.broken.get(step.step, []),
                "notes": self.notes.get(step.step, []),
            }
            for step in self.steps
        ]
        return json.dumps({"database": str(self.database), "steps": steps}, indent=2)

    def to_sql(self) -> str:
        """The plan as SQL that the `sqlite3` command line runs as it stands, and that stops where
        `init` would: at the same place, for the same rows.
        """
        if not self.has_work:
            return f"-- nothing to do: {shown(str(self.database))} is as sql/ declares"
        return for_command_line("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        yield from _comment(f"What `invoke init` would run on {self.database}.")
        yield ""
        # By default the command line continues after errors: it would drop a table uncopied.
        yield ".bail on"
        every = [statement for step in self.steps for statement in step.statements]
        if changes_text(every):
            yield "-- allows editing the schema, which newer command lines forbid"
            yield ".dbconfig defensive off"
        if is_rebuild(every):
            yield "-- the application's own SQL may contain strings in double quotes"
            yield ".dbconfig dqs_ddl on"
            yield ".dbconfig dqs_dml on"
        yield from (setting.statement for setting in self.settings if setting.name != IN_THE_FILE)
        numbers = itertools.count(1)
        for step in self.steps:
            yield from self._step(step, numbers)

    def _step(self, step: StepPlan, numbers: Iterator[int]) -> Iterator[str]:
        if step.blocked or step.statements:
            yield ""
            yield f"-- step {step.step}"
        for line in self.notes.get(step.step, ()):
            yield from _comment(line)
        for line in self.broken.get(step.step, ()):
            yield from _comment(f"it would fail: {line}")
        if step.blocked:
            yield from _comment(f"it would fail: {step.blocked}")
            yield from refusal(f"{step.step} would fail: {step.blocked}", "1", numbers)
            return
        before, after = _frame(step)
        for statement in before:
            yield from _statement(statement, "")
        if step is next((one for one in self.steps if one.statements and _frame(one)[0]), None):
            other = f"(SELECT schema_version <> {self.version} FROM pragma_schema_version)"
            yield from refusal(ANOTHER_SCHEMA, other, numbers)
        counts = is_rebuild(step.statements)
        if counts:
            yield "-- rows without a parent: no more of them afterwards"
            found = orphans([one for one in _with_keys(step.live) if one not in self.unchecked])
            yield f"CREATE TEMP TABLE {ORPHANS} AS {found};"
        for statement in step.statements:
            for guard in statement.guards:
                yield from refusal(guard.says, f"(SELECT count(*) {guard.rows})", numbers)
            rows = self._rows(statement)
            yield from _statement(statement, "" if rows is None else f" ({rows} rows)")
        if counts:
            yield from refusal(ORPHANED, more_than_before(found), numbers)
            yield f"DROP TABLE temp.{ORPHANS};"
        for statement in after:
            yield from _statement(statement, "")

    def _rows(self, statement: Statement) -> int | None:
        return self.rows.get(statement.table) if statement.rewrites else None


def refusal(says: str, rows: str, numbers: Iterator[int]) -> Iterator[str]:
    """SQL that fails, with an error that says what is wrong, unless the expression `rows` is 0."""
    name = f"temp.abathur_guard_{next(numbers)}"
    says = " ".join(utf8(says).split())
    yield f"CREATE TABLE {name} (found CONSTRAINT {quoted(says)} CHECK (found = 0));"
    yield f"INSERT INTO {name} VALUES ({rows});"


ANOTHER_SCHEMA = "the schema is as it was when this was planned; if not, run plan again"
ORPHANS = "abathur_orphans"
ORPHANED = "rows that had a parent would have none"


def orphans(tables: Sequence[str]) -> str:
    """A SELECT that counts the rows without a parent, by table, columns and parent."""
    names = "VALUES " + ", ".join(f"({string(table)})" for table in tables)
    names = names if tables else "SELECT NULL AS column1 WHERE FALSE"
    return (
        'SELECT v."table" AS child, (SELECT group_concat(k."from") FROM'
        ' pragma_foreign_key_list(v."table") AS k WHERE k.id = v.fkid) AS columns,'
        f" v.parent AS parent, count(*) AS number FROM ({names}) AS t,"
        " pragma_foreign_key_check(t.column1) AS v GROUP BY 1, 2, 3"
    )


def more_than_before(found: str) -> str:
    """An expression for how many counts of `orphans` are higher than before."""
    return (
        f"(SELECT count(*) FROM ({found}) AS n LEFT JOIN temp.{ORPHANS} AS o ON"
        " lower(n.child || n.columns || n.parent) = lower(o.child || o.columns || o.parent)"
        " WHERE n.number > coalesce(o.number, 0))"
    )


def _with_keys(live: Schema) -> list[str]:
    return [table.name for table in live.tables.values() if table.foreign_keys]


def _unchecked(connection: sqlite3.Connection, live: Schema) -> Iterator[str]:
    """The tables with a foreign key whose parent columns do not exist or are not unique."""
    for table in _with_keys(live):
        try:
            connection.execute(
                "SELECT 1 FROM pragma_foreign_key_check(?) LIMIT 1", (table,)
            ).fetchone()
        except sqlite3.OperationalError:
            yield table


def look(database: Place, declared: Declared) -> Plan:
    """Plan all steps for a database, or for a file that does not exist yet.

    Raises UsageError when it cannot be read.
    """

    def ask() -> Plan:
        if isinstance(database, Address) or database.exists():
            return undisturbed(database, lambda: _read(database, declared))
        with closing(scratch()) as connection:
            return _plan(connection, database, declared)

    return readable(database, ask)


def _read(database: Place, declared: Declared) -> Plan:
    with closing(connect(database, "ro", declared.settings)) as connection:
        return _plan(connection, database, declared)


def _plan(connection: sqlite3.Connection, database: Place, declared: Declared) -> Plan:
    connection.execute("BEGIN")
    live = read_schema(connection)
    declared = declared.chosen(live)
    modes = unsettled(connection, declared.settings)
    if isinstance(database, Path) and not database.exists():
        modes = [(setting, "delete") for setting in declared.settings]  # the mode of a new file
    pending = [setting_statement(*one) for one in modes if one[0].name == IN_THE_FILE]
    steps = [StepPlan(PRAGMA, pending), *plan_all(declared, live)]
    if isinstance(database, Address):
        steps = [*_in_cluster(steps)]
    rows = {
        one.table: number_of_rows(connection, one.table)
        for step in steps
        for one in step.statements
        if one.rewrites and one.table
    }
    broken = {step.step: list(_broken(connection, step)) for step in steps}
    notes = {step.step: list(_notes(connection, step)) for step in steps}
    return Plan(
        database,
        steps,
        rows,
        {step: lines for step, lines in broken.items() if lines},
        {step: lines for step, lines in notes.items() if lines},
        frozenset(_unchecked(connection, live) if rows else ()),
        connection.execute("PRAGMA schema_version").fetchone()[0],
        declared.settings,
    )


def _in_cluster(steps: Iterable[StepPlan]) -> Iterator[StepPlan]:
    """The steps up to the first that a cluster cannot run."""
    for step in steps:
        if is_rebuild(step.statements):
            yield step._replace(statements=(), blocked=StepError(REBUILD))
            return
        yield step


def _notes(connection: sqlite3.Connection, step: StepPlan) -> Iterator[str]:
    """What is worth knowing about a step that can run."""
    if not step.blocked:
        yield from works_no_longer(step.live, step.statements)
        for rows in (rows for statement in step.statements for rows in statement.tells):
            with suppress(sqlite3.OperationalError):  # it needs what earlier statements create
                yield from told_rows(connection, rows)


def _broken(connection: sqlite3.Connection, step: StepPlan) -> Iterator[str]:
    for guard in (guard for statement in step.statements for guard in statement.guards):
        try:
            yield from broken_rows(connection, guard)
        except sqlite3.OperationalError:
            continue  # it needs what earlier statements of the step create


def _frame(step: StepPlan) -> tuple[list[Statement], list[Statement]]:
    """The statements before and after those of a step."""
    return framed(step.statements) if step.statements and step.step != PRAGMA else ([], [])


def _statement(statement: Statement, more: str) -> Iterator[str]:
    if statement.reason:
        yield from _comment(statement.reason + more)
    yield statement.sql


def _comment(text: str) -> list[str]:
    return [f"-- {shown(as_called(line))}" for line in text.splitlines()]
