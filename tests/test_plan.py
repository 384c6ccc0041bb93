"""`plan` says what `init` will do, and changes nothing."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, command_line, in_shell
from tests.support.everything import everything
from tests.support.fingerprints import digests, files_below
from tests.support.kept import differences
from tests.support.machine import need
from tests.support.upgrading import start

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"


@pytest.mark.parametrize("extended", [False, True], ids=["plain", "extended"])
@pytest.mark.parametrize("generation", older.GENERATIONS)
def test_init_runs_exactly_what_plan_says(
    generation: int, extended: bool, empty: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    older.make(empty.path, generation, extended=extended)
    before = files_below(tmp_path)
    planned = json.loads(invoke("plan", "--json").stdout)
    after = files_below(tmp_path)
    for suffix in ("-shm", "-wal"):  # SQLite creates them to read a database in WAL mode
        after.pop(f"{empty.path}{suffix}", None)
    assert after == before
    assert empty.run("init") == 0
    ran = [
        [(one["sql"], one["reason"]) for one in step["statements"]]
        for step in empty.report()["steps"][:-1]
    ]
    said = [
        [(one["sql"], one["reason"]) for one in step["statements"]] for step in planned["steps"]
    ]
    assert ran == said


@pytest.mark.parametrize("generation", [*older.GENERATIONS, None])
def test_sqlite3_runs_the_plan_as_it_stands(
    generation: int | None, empty: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    need("sqlite3")
    if generation:
        older.make(empty.path, generation, extended=True, violating=True)
        shutil.copy(empty.path, tmp_path / "by-hand.db")
    result = invoke("plan")
    assert (result.returncode, result.stderr) == (1, "")
    assert empty.path.exists() == bool(generation)
    (tmp_path / "plan.sql").write_text(result.stdout)
    assert (
        in_shell("env -u LD_LIBRARY_PATH sqlite3 -bail by-hand.db < plan.sql", tmp_path).returncode
        == 0
    )
    by_hand = Bundle(tmp_path)
    by_hand.path = tmp_path / "by-hand.db"
    empty.run("init")
    assert by_hand.rows(SCHEMA) == empty.rows(SCHEMA)
    assert digests(by_hand.path) == digests(empty.path)
    assert invoke("plan", "-d", "by-hand.db").stdout == (
        f"-- nothing to do: {by_hand.path} is as sql/ declares\n"
    )


def test_each_statement_has_its_reason_and_a_rebuild_its_rows(
    empty: Bundle, invoke: Invoke
) -> None:
    older.make(empty.path, 2, tasks=40)
    lines = invoke("plan").stdout.splitlines()
    ((rows,),) = empty.rows("SELECT count(*) FROM tasks")
    copied = next(
        number for number, line in enumerate(lines) if line.startswith('INSERT INTO "new')
    )
    assert lines[copied - 1] == f"-- every row, with its rowid ({rows} rows)"
    made = lines.index("-- table tasks is rebuilt:")
    assert lines[made + 1 : made + 5] == [
        "--   column max_execution_timeout_seconds is missing",
        "--   column last_updated_at is missing",
        "--   column session_id is missing",
        "--   foreign key (session_id) -> sessions(id) is missing",
    ]
    dropped = lines.index('DROP INDEX "idx_state_task_key";')
    assert lines[dropped - 1] == "-- index idx_state_task_key repeats UNIQUE (task_id, key)"
    steps = [line for line in lines if line.startswith("-- step ")]
    names = ("core", "core-indexes", "memory", "memory-indexes")
    assert steps == [f"-- step {name}" for name in names]  # generation 2 is in WAL mode
    told = json.loads(invoke("plan", "--json").stdout)["steps"]
    core = next(step for step in told if step["name"] == "core")
    assert [one["rows"] for one in core["statements"] if one["rows"]] == [rows]


def test_nothing_to_do(bundle: Bundle, invoke: Invoke) -> None:
    result = invoke("plan")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"-- nothing to do: {bundle.path} is as sql/ declares\n"
    data = json.loads(invoke("plan", "--json").stdout)
    assert data["database"] == str(bundle.path)
    assert not any(step["statements"] for step in data["steps"])


def test_what_would_fail_is_said(empty: Bundle, invoke: Invoke) -> None:
    empty.sql("CREATE VIEW audit AS SELECT 1")
    result = invoke("plan")
    assert result.returncode == 1
    assert "core would fail: table audit is missing: the name audit is taken by a view" in (
        result.stderr
    )
    assert "-- it would fail: table audit is missing" in result.stdout
    steps = json.loads(invoke("plan", "--json").stdout)["steps"]
    assert [(step["name"], bool(step["blocked"])) for step in steps] == [
        ("pragma", False),
        ("core", True),
    ]


def test_what_cannot_be_read_is_wrong_input(empty: Bundle, invoke: Invoke) -> None:
    empty.path.write_bytes(b"no database" * 100)
    result = invoke("plan")
    assert (result.returncode, result.stdout) == (2, "")
    assert "file is not a database" in result.stderr
    assert empty.path.read_bytes() == b"no database" * 100
    assert not empty.reports.exists()


def test_plan_waits_for_no_writer(bundle: Bundle, invoke: Invoke) -> None:
    writer = sqlite3.connect(bundle.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert invoke("plan").returncode == 0
    writer.close()


def test_plan_that_fails_in_sqlite3_loses_nothing(
    empty: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    """The command line carries on after an error unless told not to."""
    need("sqlite3")
    older.make(empty.path, 2)
    text = invoke("plan").stdout
    assert ".bail on" in text
    (tmp_path / "plan.sql").write_text(text)
    empty.sql("UPDATE tasks SET prompt = 'x'; DROP TABLE audit; CREATE VIEW audit AS SELECT 1")
    before = digests(empty.path)
    assert (
        in_shell("env -u LD_LIBRARY_PATH sqlite3 abathur.db < plan.sql", tmp_path).returncode == 1
    )
    assert digests(empty.path) == before


def test_sql_of_a_step_that_would_fail_fails_at_the_same_place(
    empty: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    empty.sql(
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TIMESTAMP NOT NULL,"
        " metric_name TEXT NOT NULL, metric_value REAL NOT NULL, labels TEXT);"
        "INSERT INTO metrics VALUES (7, 't', 'm', -1, NULL)"
    )
    planned = invoke("plan").stdout
    told = "metrics must satisfy CHECK (metric_value >= 0)"
    assert f"-- it would fail: {told}: 1 row violates this; the first is rowid 7" in planned
    copy = tmp_path / "copy.db"
    shutil.copy(empty.path, copy)
    ran = command_line(copy, planned)
    assert ran.returncode == 1
    assert f"CHECK constraint failed: {told}" in ran.stderr
    assert empty.run("init") == 3
    assert differences(everything(copy), everything(empty.path)) == []


def test_functions_of_the_application_are_told(empty: Bundle, invoke: Invoke) -> None:
    older.make(empty.path, 2)
    with closing(sqlite3.connect(empty.path)) as connection:
        connection.create_function("mine", 1, lambda _: 1, deterministic=True)
        connection.execute("CREATE INDEX by_mine ON tasks(mine(priority))")
    result = invoke("plan")
    assert result.returncode == 1
    assert "core would fail: no such function: mine, which index by_mine needs" in result.stderr
    before = digests(empty.path)
    result = invoke("init")
    assert result.returncode == 3
    assert "core failed: no such function: mine, which index by_mine needs" in result.stderr
    assert "drop the index, view or trigger that the message names" in result.stderr
    assert digests(empty.path) == before


def same_schema_by_both(bundle: Bundle, invoke: Invoke) -> None:
    """Check that `sqlite3`, fed the plan, makes the schema that `init` makes; only the application
    could read all rows.
    """
    copy = Bundle(bundle.path.parent)
    copy.path = bundle.path.with_name("copy.db")
    shutil.copy(bundle.path, copy.path)
    ran = command_line(copy.path, invoke("plan").stdout)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert bundle.run("init") == 0
    assert copy.rows(SCHEMA) == bundle.rows(SCHEMA)


# Of the application, and called as something of ours is; nothing of them has to be created again.
CALLED_AS_OURS = {
    "a function": "CREATE INDEX mine ON docs(content_hash(body))",
    "a function called as a table": "CREATE INDEX mine ON docs(audit(body))",
    "a collation": "CREATE INDEX mine ON docs(body COLLATE title)",
}


@pytest.mark.parametrize("case", CALLED_AS_OURS)
def test_function_or_collation_that_is_called_as_something_of_ours_prevents_nothing(
    case: str, empty: Bundle, invoke: Invoke
) -> None:
    older.make(empty.path, 3)
    with closing(sqlite3.connect(empty.path)) as application:
        for name in ("content_hash", "audit"):
            application.create_function(name, 1, str, deterministic=True)
        application.create_collation("title", lambda a, b: (a > b) - (a < b))
        application.executescript(
            f"CREATE TABLE docs (body); {CALLED_AS_OURS[case]};"
            "CREATE VIEW v AS SELECT id FROM tasks"
        )
    same_schema_by_both(empty, invoke)


def test_what_needs_a_function_is_named_and_nothing_that_is_called_the_same(
    empty: Bundle, invoke: Invoke
) -> None:
    older.make(empty.path, 2)
    with closing(sqlite3.connect(empty.path)) as application:
        application.create_function("priority", 1, lambda _: 1, deterministic=True)
        application.executescript(
            "CREATE INDEX mine ON tasks(priority(prompt)); CREATE TABLE priority (priority);"
            "CREATE TRIGGER t AFTER INSERT ON tasks WHEN priority(new.id) BEGIN SELECT 1; END;"
            "CREATE TRIGGER u AFTER INSERT ON tasks BEGIN INSERT INTO priority (priority)"
            " VALUES (new.priority); END;"
        )
    told = "no such function: priority, which index mine, trigger t needs"
    assert f"core would fail: {told}" in invoke("plan").stderr
    assert f"core failed: {told}" in invoke("init").stderr


def test_index_that_only_its_application_can_make_is_planned_to_be_dropped(
    bundle: Bundle, invoke: Invoke
) -> None:
    """In the empty copy that the next step is planned on, it cannot be created."""
    with closing(sqlite3.connect(bundle.path)) as application:
        application.create_collation("mine", lambda a, b: (a > b) - (a < b))
        for name, columns in (
            ("idx_agents_state", "agents(state COLLATE mine)"),
            ("idx_audit_memory_namespace", "audit(memory_namespace COLLATE mine, timestamp DESC)"),
        ):
            application.executescript(f"DROP INDEX {name}; CREATE INDEX {name} ON {columns}")
    result = invoke("plan", "--database", str(bundle.path))
    assert result.returncode == 1
    assert result.stderr == ""
    assert result.stdout.count("DROP INDEX") == 2
    assert bundle.run("init") == 0
    assert bundle.report()["deliverables"]["indexes_dropped"] == [
        "idx_agents_state",
        "idx_audit_memory_namespace",
    ]


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 38), reason="RENAME stops at such an index")
@pytest.mark.parametrize("generation", [1, 2])
def test_collation_of_another_table_prevents_no_rebuild(
    generation: int, empty: Bundle, invoke: Invoke
) -> None:
    start(empty, generation)
    with closing(sqlite3.connect(empty.path)) as application:
        application.create_collation("mine", lambda a, b: (a > b) - (a < b))
        application.executescript(
            "CREATE TABLE docs (body TEXT COLLATE mine); CREATE INDEX by_body ON docs(body);"
            "CREATE INDEX by_other ON agents(model, name COLLATE mine)"
        )
    same_schema_by_both(empty, invoke)
    assert empty.report()["deliverables"]["tables_rebuilt"] == ["tasks"]
    assert empty.unchanged_by_init()
