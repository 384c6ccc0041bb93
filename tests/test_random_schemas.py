"""Whatever older database `init` meets, it upgrades it without loss, or leaves it alone."""

import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from abathur_schema.commands.show_plan import look
from abathur_schema.declared.declaration import declared
from abathur_schema.progress import Progress
from abathur_schema.proof.findings import BY_INIT
from abathur_schema.proof.verification import verify
from abathur_schema.schema.create_table import definitions
from abathur_schema.schema.model import Index
from abathur_schema.schema.reading import read_schema
from abathur_schema.schema.undeclared import repeated
from abathur_schema.storage.foreign_keys import violations
from tests.support.bundle import Bundle, Report
from tests.support.commands import command_line
from tests.support.everything import Everything, everything, quoted
from tests.support.kept import differences, lost
from tests.support.machine import need
from tests.support.random_schemas import (
    SCHEMA,
    create_tables,
    indexes,
    made,
    older_databases,
    references,
)

MANY = settings(max_examples=8 * settings().max_examples)
"""For tests that need no run of `init`."""


@dataclass
class Outcome:
    """The result of one `init`; `plan` is what `plan --json` said before it."""

    code: int
    output: str
    errors: str
    report: Report
    before: Everything
    after: Everything
    plan: Report

    @property
    def failed(self) -> str:
        """The step that failed."""
        return str(next(one["name"] for one in self.report["steps"] if one["status"] == "failed"))


@contextmanager
def older(statements: list[str]) -> Iterator[Bundle]:
    with TemporaryDirectory() as folder:
        bundle = Bundle(Path(folder))
        with made(statements, bundle.path):
            pass
        yield bundle


def run(bundle: Bundle, task: str) -> tuple[int, str, str]:
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = bundle.run(task)
    return code, output.getvalue(), errors.getvalue()


def init(bundle: Bundle) -> Outcome:
    before, plan = everything(bundle.path), json.loads(look(bundle.path, declared()).to_json())
    code, output, errors = run(bundle, "init")
    after = everything(bundle.path)
    report = bundle.report() if code != 2 else {}
    return Outcome(code, output, errors, report, before, after, plan)


@given(older_databases())
def test_init_makes_it_as_declared_and_loses_nothing(statements: list[str]) -> None:
    with older(statements) as bundle:
        done = init(bundle)
        assert "Traceback" not in done.output + done.errors
        if done.code == 2:
            assert "belongs to another application" in done.errors
            assert differences(done.before, done.after) == []
            return
        if done.code == 3:
            assert_is_told(done)
            assert_failed_step_changed_nothing(statements, done)
            return
        assert done.code in (0, 1)
        assert not look(bundle.path, declared()).has_work
        dropped = set(done.report["deliverables"]["indexes_dropped"])
        assert list(lost(done.before, done.after, dropped)) == []


def assert_is_told(done: Outcome) -> None:
    """A failure names its subject, and is of a kind that was foreseen."""
    failure = done.report["failure"]
    assert any(name in done.errors for name in (*SCHEMA.tables, *SCHEMA.indexes))
    foreseen = ("BrokenRowsError", "CannotReconcileError", "UpgradeError")
    assert any(f"errors.{name}: " in failure["trace"] for name in foreseen), failure["trace"]


def assert_failed_step_changed_nothing(statements: list[str], done: Outcome) -> None:
    """The database is as the steps before the failed one leave it when run one by one."""
    with older(statements) as other:
        for step in done.report["steps"]:
            if step["name"] == done.failed:
                break
            assert run(other, step["name"])[0] == 0
        assert differences(everything(other.path), done.after) == []


@given(older_databases())
def test_init_runs_what_plan_says(statements: list[str]) -> None:
    with older(statements) as bundle:
        done = init(bundle)
        if done.code == 2:
            return
        for planned, step in zip(done.plan["steps"], done.report["steps"], strict=False):
            if done.code == 3 and step["name"] == done.failed:
                break
            says = [(one["sql"], one["reason"]) for one in planned["statements"]]
            assert says == [(one["sql"], one["reason"]) for one in step["statements"]]
            assert not planned["blocked"]
            assert not planned["broken_rows"]


@given(older_databases())
def test_plan_is_sql_that_does_the_same(statements: list[str]) -> None:
    need("sqlite3")
    with older(statements) as bundle:
        copy = bundle.path.with_name("copy.db")
        shutil.copy(bundle.path, copy)
        plan = look(bundle.path, declared()).to_sql()
        done = init(bundle)
        if done.code == 2:
            return
        ran = command_line(copy, plan)
        assert bool(ran.stderr) == (done.code == 3), ran.stderr
        assert differences(everything(copy), done.after) == []


@given(older_databases(), st.booleans())
def test_what_verify_says_has_a_remedy(statements: list[str], is_finished: bool) -> None:
    """`plan` shows what `init` can mend; the rest has a remedy of its own."""
    with older(statements) as bundle:
        if is_finished:
            run(bundle, "init")
        checks = verify(bundle.path, declared(), Progress(None)).checks
        faults = [check for check in checks if check.status == "fail"]
        assert [check.name for check in faults if not check.remedy] == []
        if not look(bundle.path, declared()).has_work:
            assert not [check for check in faults if check.remedy == BY_INIT]


@MANY
@given(create_tables())
def test_definitions_name_the_columns_that_sqlite_sees(create: str) -> None:
    with made([create]) as connection:
        for table, sql in connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql > ''"):
            seen = connection.execute("SELECT name FROM pragma_table_xinfo(?)", (table,))
            columns = [one.column for one in definitions(sql) if one.column]
            assert columns == [name for (name,) in seen]


@MANY
@given(references())
def test_violations_are_those_that_sqlite_finds(statements: list[str]) -> None:
    with made(statements) as connection:
        found = violations(connection, read_schema(connection))
        lines, mismatch = [], ""
        try:
            for child, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                lines.append(f"table {child}, row {row}: c has no row in {parent}")
        except sqlite3.OperationalError as error:
            mismatch = f"child: {error}"
        if mismatch:
            assert found.counts == {mismatch: 1}
            assert found.unchecked == {"child"}
        else:
            assert found.counts.total() == len(lines)
            assert list(found.first) == lines
            assert not found.unchecked


def queries_of(index: Index) -> Iterator[str]:
    """Queries that the columns of an index serve: look a row up, and sort by the last column among
    rows that are equal in the others.
    """
    columns = [f"{quoted(column.name)} COLLATE {column.collation}" for column in index.columns]
    where = [index.where] if index.where else []
    rows = f"SELECT * FROM {quoted(index.table)} WHERE "
    yield rows + " AND ".join([*where, *(f"{column} = 1" for column in columns)])
    direction = "DESC" if index.columns[-1].descending else "ASC"
    alike = " AND ".join([*where, *(f"{column} = 1" for column in columns[:-1])]) or "TRUE"
    yield f"{rows}{alike} ORDER BY {columns[-1]} {direction}"


def costs(connection: sqlite3.Connection, query: str) -> tuple[bool, bool]:
    """Whether a query scans without any index, and whether it sorts."""
    plan = " ".join(line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
    return "SCAN" in plan and "USING" not in plan, "B-TREE" in plan


@MANY
@given(st.lists(indexes(), min_size=1, max_size=4))
def test_repeated_indexes_are_needed_by_no_query_and_no_constraint(creates: list[str]) -> None:
    names = [name for name, index in SCHEMA.indexes.items() if index.origin == "c"]
    with made([*declared().creates.values(), *creates]) as connection:
        live = read_schema(connection)
        for one in repeated(SCHEMA, live, names, [*SCHEMA.tables]):
            queries = [] if one.index.expressions else [*queries_of(one.index)]
            before = [costs(connection, query) for query in queries]
            connection.execute(f"DROP INDEX {quoted(one.index.name)}")
            for query, had in zip(queries, before, strict=True):
                assert costs(connection, query) <= had, query
            if one.index.unique:
                compared = [column.compared for column in one.index.columns]
                others = read_schema(connection).indexes_on(one.index.table)
                assert [*live.tables[one.index.table].primary_key] == compared or any(
                    other.unique and [column.compared for column in other.columns] == compared
                    for other in others
                )
