"""Bugs reported in other tools that change SQLite schemas, tried here, one of each kind."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import older
from tests.support.another_form import create, sql_of
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, command_line
from tests.support.everything import everything
from tests.support.kept import differences
from tests.support.upgrading import planned_as_run, start

TASK = (
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at)"
    " VALUES ('t1', 'p', 'ready', '{}', '2024-03-01');"
)

TASK_3 = (
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
    " VALUES ('t1', 'p', 'ready', '{}', '2024-03-01', '2024-03-01');"
)

STRICT = (
    "DROP TABLE metrics; CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " timestamp TEXT NOT NULL, metric_name TEXT NOT NULL,"
    " metric_value REAL NOT NULL CHECK (metric_value >= 0), labels TEXT, raw ANY) STRICT;"
    "INSERT INTO metrics VALUES (1, 't', 'x', 1, NULL, '007'), (2, 't', 'x', 1, NULL, '1e3'),"
    " (3, 't', 'x', 1, NULL, 7), (4, 't', 'x', 1, NULL, 1.0), (5, 't', 'x', 1, NULL, x'37');"
)


def test_value_of_any_type_stays_what_it_is(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(STRICT)
    quoted = "SELECT typeof(raw), quote(raw) FROM metrics"
    before = bundle.rows(quoted)
    planned_as_run(bundle, invoke)
    assert bundle.rows(quoted) == before
    assert before[0] == ("text", "'007'")


def test_declared_value_of_any_type_that_would_change_stops_the_step(
    bundle: Bundle, invoke: Invoke
) -> None:
    bundle.sql(STRICT.replace("timestamp TEXT", "timestamp ANY").replace("1, 't'", "1, '007'"))
    planned_as_run(bundle, invoke, code=3)
    assert bundle.rows("SELECT timestamp FROM metrics WHERE id = 1") == [("007",)]


def test_text_that_becomes_a_number_is_told_before_and_after(empty: Bundle, invoke: Invoke) -> None:
    start(empty, 2)
    sql = sql_of(empty, "tasks").replace("TIMESTAMP", "TEXT").replace("timestamp", "TEXT")
    empty.sql(f"DROP TABLE tasks; {sql}; {TASK} UPDATE tasks SET submitted_at = '1709294400'")
    told = "tasks.submitted_at (TIMESTAMP) is text, and becomes a number: 1 row"
    planned = invoke("plan")
    assert f"-- {told}" in planned.stdout
    assert f"core: {told}" in planned.stderr
    done = invoke("init")
    assert done.returncode == 0
    assert f"  note: {told}" in done.stderr
    assert told in next(one for one in empty.report()["steps"] if one["name"] == "core")["notes"]
    assert empty.rows("SELECT typeof(submitted_at) FROM tasks") == [("integer",)]


@pytest.mark.parametrize("generation", [2, 3])
def test_plan_for_another_schema_changes_nothing(
    generation: int, empty: Bundle, invoke: Invoke
) -> None:
    start(empty, generation)
    planned = invoke("plan").stdout
    empty.sql("ALTER TABLE audit ADD COLUMN mine; ALTER TABLE tasks ADD COLUMN mine")  # meanwhile
    before = everything(empty.path)
    ran = command_line(empty.path, planned)
    assert ran.returncode == 1
    assert "the schema is as it was when this was planned; if not, run plan again" in ran.stderr
    assert differences(everything(empty.path), before) == []


def test_views_and_triggers_that_work_no_longer_are_told(empty: Bundle, invoke: Invoke) -> None:
    start(
        empty,
        3,
        TASK_3 + "CREATE TABLE hist AS SELECT * FROM tasks;"
        "CREATE TRIGGER h AFTER UPDATE ON tasks BEGIN INSERT INTO hist SELECT * FROM tasks; END;"
        "CREATE VIEW every AS SELECT * FROM tasks UNION ALL SELECT * FROM hist;"
        "CREATE VIEW listed (a, b) AS SELECT id, prompt FROM tasks;"
        "CREATE VIEW broken AS SELECT * FROM nowhere",
    )
    told = (
        "no longer works: view every: SELECTs to the left and right of UNION ALL do not have",
        "no longer works: UPDATE of table tasks (trigger h): table hist has 18 columns but 19",
    )
    planned = invoke("plan")
    done = invoke("init")
    assert done.returncode == 0
    for line in told:
        assert f"-- {line}" in planned.stdout
        assert line in planned.stderr
        assert f"  note: {line}" in done.stderr
    assert "broken" not in done.stderr
    assert "listed" not in done.stderr
    shown = invoke("verify").stdout
    assert "view every: SELECTs to the left and right" in shown
    assert "view broken: no such table: main.nowhere" in shown


def test_full_text_table_over_a_renamed_column_is_told(empty: Bundle, invoke: Invoke) -> None:
    start(empty, 1)
    try:
        empty.sql("CREATE VIRTUAL TABLE f USING fts5(template_name, content=tasks)")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no FTS5")
    assert "no longer works: virtual table f: " in invoke("plan").stderr


def test_columns_that_a_check_names_by_their_table(empty: Bundle, invoke: Invoke) -> None:
    start(empty, 2, TASK)
    own = "ALTER TABLE tasks ADD COLUMN cost INTEGER CHECK (tasks.cost >= 0 AND \"tasks\".id > '')"
    empty.sql(own)
    planned_as_run(empty, invoke)
    assert "CHECK (tasks.cost >= 0 AND \"tasks\".id > '')" in sql_of(empty, "tasks")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        empty.sql("UPDATE tasks SET cost = -1")


@pytest.mark.parametrize("change", ["", " AUTOINCREMENT"], ids=["kept", "through a rebuild"])
def test_deferred_foreign_keys_stay_deferred(change: str, bundle: Bundle) -> None:
    deferred = "REFERENCES tasks(id) DEFERRABLE INITIALLY DEFERRED"
    sql = create("state", ("REFERENCES tasks(id)", deferred), (change, ""))
    bundle.sql(f"DROP TABLE state; {sql}")
    assert bundle.run("init") == 0
    assert deferred in sql_of(bundle, "state")
    assert bool(bundle.report()["deliverables"]["tables_rebuilt"]) == bool(change)


def test_action_of_a_deferred_foreign_key_changes_and_its_deferral_stays(bundle: Bundle) -> None:
    deferred = "REFERENCES tasks(id) DEFERRABLE INITIALLY DEFERRED"
    sql = create("checkpoints", ("REFERENCES tasks(id) ON DELETE CASCADE", deferred))
    bundle.sql(f"DROP TABLE checkpoints; {sql}")
    assert bundle.run("init") == 0
    assert bundle.report()["deliverables"]["tables_changed"] == ["checkpoints"]
    text = "REFERENCES tasks(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"
    assert text in sql_of(bundle, "checkpoints")


def test_children_in_other_letters_than_their_parent_are_told(
    empty: Bundle, invoke: Invoke
) -> None:
    start(empty, 2)
    sql = sql_of(empty, "tasks").replace(
        '"id" text primary key', '"id" text collate nocase primary key'
    )
    assert "nocase" in sql
    child = (
        "INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)"
        " VALUES ('a', 'n', 's', 'T1', 'i', 'm', 'x')"
    )
    empty.sql(f"DROP TABLE tasks; {sql}; {TASK} {child}")
    told = "agents(task_id) must be spelled exactly like its parent in tasks"
    assert told in invoke("plan").stderr
    planned_as_run(empty, invoke, code=3)
    failure = empty.report()["failure"]
    assert told in failure["error"]
    assert "the first is task_id 'T1'" in failure["error"]


def test_foreign_key_to_a_table_that_is_gone_is_mended(empty: Bundle, invoke: Invoke) -> None:
    """As a rename in older versions of SQLite left it."""
    start(empty, 2, TASK)
    agents = sql_of(empty, "agents").replace('references "tasks"', 'references "tasks__old"')
    assert "__old" in agents
    empty.sql(f"DROP TABLE agents; {agents}")
    planned_as_run(empty, invoke)
    assert "__old" not in sql_of(empty, "agents")
    with closing(sqlite3.connect(empty.path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        older.APPLICATIONS[2].add(connection, "agents", task_id="t1")
        with pytest.raises(sqlite3.IntegrityError):
            older.APPLICATIONS[2].add(connection, "agents", task_id="gone")


def test_schema_of_an_old_format_says_what_mends_it(empty: Bundle, invoke: Invoke) -> None:
    start(empty, 3, TASK_3)
    content = bytearray(empty.path.read_bytes())
    content[44:48] = (1).to_bytes(4, "big")
    empty.path.write_bytes(content)
    for task in ("init", "plan", "core-indexes"):
        result = invoke(task)
        assert result.returncode == 2
        assert f"sqlite3 {empty.path} VACUUM" in result.stderr
        assert empty.path.read_bytes() == content
    empty.sql("VACUUM")
    assert empty.run("init") == 0


FOREIGN = {
    "things to do": "CREATE TABLE tasks (id INTEGER PRIMARY KEY, title TEXT, done INTEGER)",
    "one that has more": (
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, title TEXT, status TEXT, priority INTEGER,"
        " created_at TEXT)"
    ),
    "sessions of a site": "CREATE TABLE sessions (id TEXT PRIMARY KEY, data BLOB, expires)",
}


@pytest.mark.parametrize("task", ["init", "pragma", "core", "plan"])
@pytest.mark.parametrize("sql", FOREIGN.values(), ids=FOREIGN)
def test_database_of_another_application_is_not_touched(
    sql: str, task: str, empty: Bundle, invoke: Invoke
) -> None:
    empty.sql(sql)
    before = empty.path.read_bytes()
    result = invoke(task)
    assert result.returncode == 2
    assert "belongs to another application" in result.stderr
    assert "nothing was touched" in result.stderr
    assert empty.path.read_bytes() == before
    assert [path.name for path in Path(empty.path.parent).iterdir()] == ["abathur.db"]
