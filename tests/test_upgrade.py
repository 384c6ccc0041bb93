"""Older databases come up to date in place, and lose nothing."""

import io
import json
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import older
import pytest
from conftest import Bundle, Invoke, environment, invoke_command
from test_terminal import read_all, start_on_terminal

from abathur_schema import row_count
from abathur_schema.declared import declared
from abathur_schema.progress import Progress
from abathur_schema.statement import Statement

CORE = ("tasks", "agents", "state", "audit", "metrics", "checkpoints")
REPEATED = ["idx_checkpoints_task", "idx_state_task_key"]


def digests(path: Path) -> dict[str, str]:
    """A hash over all rows of each table, of the columns that are there now."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
            " AND name NOT IN ('sqlite_schema', 'sqlite_temp_schema')"
        ).fetchall()
        return {
            name: older.digest(connection, name, older.columns_of(connection, name))
            for (name,) in tables
        }


def old_digests(path: Path, columns: dict[str, list[str]]) -> dict[str, str]:
    """The same over given columns alone."""
    with closing(sqlite3.connect(path)) as connection:
        return {table: older.digest(connection, table, of) for table, of in columns.items()}


def columns(path: Path) -> dict[str, list[str]]:
    """The columns of all tables that hold rows of their own."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
            " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        ).fetchall()
        return {name: older.columns_of(connection, name) for (name,) in tables}


def renamed(names: list[str]) -> list[str]:
    return ["prompt" if name == "template_name" else name for name in names]


def plan(bundle: Bundle, invoke: Invoke) -> list[dict[str, Any]]:
    """The steps of `invoke plan --json` that have something to do."""
    result = invoke("plan", "--json", "-d", str(bundle.path))
    steps = json.loads(result.stdout)["steps"]
    busy = [step for step in steps if step["statements"] or step["blocked"]]
    assert result.returncode == bool(busy)
    return busy


@pytest.mark.parametrize("violating", [False, True], ids=["sound", "violating"])
@pytest.mark.parametrize("extended", [False, True], ids=["plain", "extended"])
@pytest.mark.parametrize("generation", older.GENERATIONS)
def test_every_generation_comes_up_to_date_and_keeps_all(
    generation: int, extended: bool, violating: bool, empty: Bundle, invoke: Invoke
) -> None:
    older.make(empty.path, generation, extended=extended, violating=violating)
    empty.sql("ANALYZE")
    there = columns(empty.path)
    rows = old_digests(empty.path, there)
    counters = empty.rows("SELECT * FROM sqlite_sequence ORDER BY name")
    statistics = empty.rows("SELECT * FROM sqlite_stat1 ORDER BY tbl, idx")
    objects = set(empty.rows("SELECT type, name FROM sqlite_schema"))

    assert empty.run("init") == (1 if violating else 0)
    assert set(empty.failed()) == ({"foreign_key_check"} if violating else set())
    report = empty.report()
    assert report["deliverables"]["indexes_dropped"] == REPEATED
    assert plan(empty, invoke) == []

    now = {table: renamed(names) for table, names in there.items()}
    assert old_digests(empty.path, now) == rows
    after = dict(empty.rows("SELECT * FROM sqlite_sequence"))
    assert {name: after[name] for name, _ in counters} == dict(counters)
    left = empty.rows("SELECT * FROM sqlite_stat1 ORDER BY tbl, idx")
    assert left == [row for row in statistics if row[1] not in REPEATED]
    gone = objects - set(empty.rows("SELECT type, name FROM sqlite_schema"))
    assert gone == {("index", name) for name in REPEATED}
    assert empty.rows("PRAGMA integrity_check") == [("ok",)]
    for (view,) in empty.rows("SELECT name FROM sqlite_schema WHERE type = 'view'"):
        empty.rows(f'SELECT count(*) FROM (SELECT * FROM "{view}")')


def test_new_columns_get_what_the_contract_says(empty: Bundle) -> None:
    older.make(empty.path, 1)
    names = dict(empty.rows("SELECT id, template_name FROM tasks"))
    times = "SELECT id, completed_at, started_at, submitted_at FROM tasks"
    expected = {key: next(t for t in rest if t is not None) for key, *rest in empty.rows(times)}
    assert empty.run("init") == 0
    assert dict(empty.rows("SELECT id, prompt FROM tasks")) == names
    assert dict(empty.rows("SELECT id, last_updated_at FROM tasks")) == expected
    query = "SELECT DISTINCT agent_type, max_execution_timeout_seconds, session_id FROM tasks"
    assert empty.rows(query) == [("general", 3600, None)]
    query = "SELECT DISTINCT memory_operation_type, memory_namespace, memory_entry_id FROM audit"
    assert empty.rows(query) == [(None, None, None)]


def test_third_generation_gets_columns_and_no_row_is_written_anew(empty: Bundle) -> None:
    older.make(empty.path, 3, extended=True)
    before = dict(empty.rows("SELECT name, sql FROM sqlite_schema"))
    assert empty.run("core") == 0
    report = empty.report()
    statements = [one["sql"].split("(")[0] for one in report["steps"][0]["statements"]]
    assert [text for text in statements if text.startswith("ALTER")] == [
        'ALTER TABLE "tasks" ADD COLUMN session_id TEXT REFERENCES sessions',
        'ALTER TABLE "agents" ADD COLUMN session_id TEXT REFERENCES sessions',
        'ALTER TABLE "audit" ADD COLUMN memory_operation_type TEXT;',
        'ALTER TABLE "audit" ADD COLUMN memory_namespace TEXT;',
        'ALTER TABLE "audit" ADD COLUMN memory_entry_id INTEGER REFERENCES memory_entries',
        'ALTER TABLE "checkpoints" ADD COLUMN session_id TEXT REFERENCES sessions',
    ]
    assert not any("INSERT" in text or "DROP" in text for text in statements)
    assert report["copy_before"] is None
    assert report["deliverables"]["columns_added"][0] == "tasks.session_id"
    after = dict(empty.rows("SELECT name, sql FROM sqlite_schema"))
    assert all(after[name] == sql for name, sql in before.items() if name not in CORE)


@pytest.mark.parametrize("generation", older.GENERATIONS)
def test_between_the_milestones_an_application_writes(generation: int, empty: Bundle) -> None:
    older.make(empty.path, generation)
    for step in ("pragma", "core", "core-indexes"):
        assert empty.run(step) == 0
    assert empty.report()["execution_status"]["completion"] == "Milestone 1"
    with closing(sqlite3.connect(empty.path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'a', 'u')")
        for session in (None, "s"):
            connection.execute(
                "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at,"
                " session_id) VALUES (?, 'do', 'ready', '{}', '2026-01-01', '2026-01-01', ?)",
                (f"task {session}", session),
            )
            connection.execute(
                "INSERT INTO audit (timestamp, task_id, action_type, memory_operation_type,"
                " memory_namespace, memory_entry_id) VALUES ('2026', ?, 'x', 'create', 'n', NULL)",
                (f"task {session}",),
            )
        older.APPLICATIONS[generation].add(connection, "audit", task_id="task s")
        older.APPLICATIONS[3].add(connection, "tasks", id="left out")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            connection.execute("UPDATE tasks SET session_id = 'gone' WHERE id = 'left out'")
        connection.execute("DELETE FROM sessions")
        query = "SELECT count(*) FROM tasks WHERE session_id IS NOT NULL"
        assert connection.execute(query).fetchone() == (0,)
        connection.commit()
    assert empty.run("init") == 0


@pytest.mark.parametrize("generation", older.GENERATIONS)
def test_older_code_works_on_the_upgraded_database(generation: int, empty: Bundle) -> None:
    """As far as SQLite lets it: nothing can give last_updated_at, which is NOT NULL and has no
    default, a value in an INSERT that leaves it out (docs/upgrades.md).
    """
    application = older.APPLICATIONS[generation]
    older.make(empty.path, generation)
    assert empty.run("init") == 0
    with closing(sqlite3.connect(empty.path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        if generation == 3:
            application.add(connection, "tasks", id="new")
        else:
            refused = {1: "no column named template_name", 2: "NOT NULL .*last_updated_at"}
            with pytest.raises(sqlite3.Error, match=refused[generation]):
                application.add(connection, "tasks", id="new")
            older.APPLICATIONS[3].add(connection, "tasks", id="new")
        application.add(connection, "agents", id="agent", task_id="new")
        application.add(connection, "state", task_id="new")
        application.add(connection, "audit", task_id="new", agent_id="agent")
        application.add(connection, "metrics")
        application.add(connection, "checkpoints", task_id="new")
        connection.commit()
    assert empty.run("verify") == 0


def test_violations_that_were_there_are_told_before_anything_changes(
    empty: Bundle, capsys: Any
) -> None:
    older.make(empty.path, 3, violating=True)
    assert empty.run("init") == 1
    output = capsys.readouterr()
    assert output.err.splitlines()[0] == "violations of foreign keys that were there before: 6"
    assert "  table state, row 16: task_id has no row in tasks" in output.err
    assert f'sqlite3 {empty.path} "PRAGMA foreign_key_check"' in output.err
    assert "set its column to NULL" in output.err
    report = empty.report()
    assert report["foreign_keys_before"]["violations"] == 6
    assert report["foreign_keys_before"]["by_foreign_key"]["state(task_id) -> tasks"] == 1
    assert len(report["foreign_keys_before"]["first"]) == 6
    assert len(empty.failed()["foreign_key_check"]) == 6
    assert empty.run("init") == 1  # nothing left to change: no second telling
    assert "that were there before" not in capsys.readouterr().err


def test_sound_database_has_no_violations_to_tell(empty: Bundle, capsys: Any) -> None:
    older.make(empty.path, 1)
    assert empty.run("init") == 0
    assert capsys.readouterr().err == ""
    assert empty.report()["foreign_keys_before"]["violations"] == 0


# A table in another form: what its declared text is changed to, and what must be there afterwards.

TASKS = "'a', 'do', 'general', 5, 'ready', '{}', NULL, NULL, 0, 3, 3600, 's', NULL, NULL, 'u'"
DRIFTED = {
    "CHECK": ("metrics", " CHECK (metric_value >= 0)", "", "1, '2026', 'x', 0.5, NULL"),
    "UNIQUE": ("state", ",\n    UNIQUE (task_id, key)", "", "1, 'a', 'k', '1', 'c', 'u'"),
    "foreign key": ("checkpoints", " REFERENCES tasks(id)", "", "'a', 1, '{}', 'c', NULL"),
    "ON DELETE": ("checkpoints", " ON DELETE SET NULL", "", "'a', 1, '{}', 'c', NULL"),
    "ON DELETE CASCADE": ("checkpoints", "SET NULL", "CASCADE", "'a', 1, '{}', 'c', NULL"),
    "NOT NULL": (
        "metrics",
        "metric_name  TEXT NOT NULL",
        "metric_name TEXT",
        "1, 't', 'x', 1.5, 1",
    ),
    "type": ("metrics", "metric_name  TEXT", "metric_name VARCHAR(80)", "1, 't', 'x', 1.5, 1"),
    "type of another affinity": (
        "metrics",
        "metric_value REAL",
        "metric_value",
        "1, 't', 'x', 2, 1",
    ),
    "default": ("tasks", "DEFAULT 5", "DEFAULT 7", f"{TASKS}, NULL, NULL, NULL, NULL"),
    "AUTOINCREMENT": ("audit", " AUTOINCREMENT", "", "5, 't', NULL, 'a', 'x', NULL, 1, 2, 3, NULL"),
    "PRIMARY KEY": (
        "agents",
        " PRIMARY KEY",
        " NOT NULL",
        "'b', 'n', 's', 'a', 'i', 'm', 't', 1, 1, NULL",
    ),
    "WITHOUT ROWID": (
        "checkpoints",
        "iteration)\n)",
        "iteration)) WITHOUT ROWID",
        "'a', 1, '{}', 'c', NULL",
    ),
    "COLLATE": (
        "agents",
        "name           TEXT",
        "name TEXT COLLATE NOCASE",
        "'b', 'n', 's', 'a', 'i', 'm', 't', 1, 1, NULL",
    ),
    "ON CONFLICT": (
        "agents",
        "state          TEXT NOT NULL",
        "state TEXT NOT NULL ON CONFLICT IGNORE",
        "'b', 'n', 's', 'a', 'i', 'm', 't', 1, 1, NULL",
    ),
    "letter case": (
        "metrics",
        "CREATE TABLE metrics",
        "CREATE TABLE Metrics",
        "1, 't', 'x', 2.0, 1",
    ),
}


def remake(bundle: Bundle, table: str, change: Callable[[str], str], values: str = "") -> None:
    """Make a table of a finished database in another form, as an application could have."""
    text = declared().schema.tables[table].sql
    other = change(text)
    assert other != text
    row = f"INSERT INTO {table} VALUES ({values});" if values else ""
    indexes = bundle.rows(
        f"SELECT sql FROM sqlite_schema WHERE tbl_name = '{table}' AND type = 'index'"
    )
    again = ";".join(sql for (sql,) in indexes if sql)
    bundle.sql(f"PRAGMA legacy_alter_table = ON; DROP TABLE {table}; {other}; {again}; {row}")


@pytest.mark.parametrize("case", DRIFTED)
def test_table_in_another_form_is_made_anew(case: str, bundle: Bundle, invoke: Invoke) -> None:
    table, old, new, values = DRIFTED[case]
    bundle.sql(
        f"INSERT INTO tasks VALUES ({TASKS}, NULL, NULL, NULL, NULL)" if table != "tasks" else ""
    )
    remake(bundle, table, lambda sql: sql.replace(old, new), values)
    before = bundle.rows(f"SELECT * FROM {table}")
    is_same = case == "letter case"
    assert bundle.run("verify") == (0 if is_same else 1)
    assert bundle.run("init") == 0
    assert bundle.report()["deliverables"]["tables_rebuilt"] == ([] if is_same else [table])
    assert bundle.rows(f"SELECT * FROM {table}") == before
    assert plan(bundle, invoke) == []


BROKEN = {
    "NULL": (
        "metrics",
        ("metric_name  TEXT NOT NULL", "metric_name TEXT"),
        "(1, 't', 'x', 1, 1), (7, 't', NULL, 1, 1), (8, 't', NULL, 1, 1)",
        "metrics.metric_name may not be NULL: 2 rows do not keep to that; the first is rowid 7",
    ),
    "CHECK": (
        "metrics",
        (" CHECK (metric_value >= 0)", ""),
        "(1, 't', 'x', 1, 1), (2, 't', 'x', -1, 1)",
        "metrics must fulfil CHECK (metric_value >= 0): 1 row does not keep to that;"
        " the first is rowid 2",
    ),
    "UNIQUE": (
        "state",
        (",\n    UNIQUE (task_id, key)", ""),
        "(1, 'a', 'k', '1', 'c', 'u'), (2, 'a', 'k', '2', 'c', 'u'), (3, 'a', 'k', '3', 'c', 'u')",
        "state must be unique in (task_id, key): 2 rows do not keep to that; the first is rowid 2",
    ),
    "PRIMARY KEY": (
        "agents",
        (" PRIMARY KEY", ""),
        "('b', 'n', 's', 'a', 'i', 'm', 't', 1, 1, NULL),"
        " ('b', 'o', 's', 'a', 'i', 'm', 't', 1, 1, NULL)",
        "agents must be unique in (id): 1 row does not keep to that; the first is rowid 2",
    ),
    "foreign key": (
        "checkpoints",
        (" REFERENCES tasks(id)", ""),
        "('a', 1, '{}', 'c', NULL), ('gone', 2, '{}', 'c', NULL)",
        "checkpoints must have parents for (task_id) -> tasks(id): 1 row does not keep to that;"
        " the first is rowid 2, task_id 'gone', iteration 2",
    ),
    "a value that the type would change": (
        "agents",
        ("name           TEXT", "name INTEGER"),
        "('b', 9007199254740993, 's', 'a', 'i', 'm', 't', 1, 1, NULL),"
        " ('c', 1e300, 's', 'a', 'i', 'm', 't', 1, 1, NULL)",
        "",
    ),
    "a value that is lost": (
        "metrics",
        ("metric_value REAL NOT NULL", "metric_value TEXT NOT NULL"),
        "(1, 't', 'x', '1.5', 1), (2, 't', 'x', '01.50', 1)",
        "metrics.metric_value must keep its value as REAL: 1 row does not keep to that;"
        " the first is rowid 2",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_rows_that_break_what_is_declared_stop_the_step(
    case: str, bundle: Bundle, capsys: Any, invoke: Invoke
) -> None:
    table, (old, new), rows, message = BROKEN[case]
    bundle.sql(f"INSERT INTO tasks VALUES ({TASKS}, NULL, NULL, NULL, NULL)")
    remake(bundle, table, lambda sql: sql.replace(old, new))
    bundle.sql(f"INSERT INTO {table} VALUES {rows}")
    schema = bundle.rows("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid")
    before = digests(bundle.path)
    planned = invoke("plan")
    if not message:
        assert bundle.run("init") == 0
        return
    assert planned.returncode == 1
    if "keep its value" not in message:  # only the copy can tell
        assert f"core would fail: {message}" in planned.stderr
    capsys.readouterr()
    assert bundle.run("init") == 3
    error = capsys.readouterr().err
    assert message in error
    assert "mend the rows that the message names" in error
    assert bundle.rows("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid") == schema
    assert digests(bundle.path) == before
    assert bundle.report()["failure"]["step"] == "core"


INDEXES = {
    "CREATE INDEX mine ON state(task_id, key)": "UNIQUE (task_id, key)",
    "CREATE UNIQUE INDEX mine ON state(task_id, key)": "UNIQUE (task_id, key)",
    "CREATE INDEX mine ON state(task_id, key DESC)": "UNIQUE (task_id, key)",
    "CREATE INDEX mine ON state(id)": "PRIMARY KEY (id)",
    "CREATE INDEX mine ON checkpoints(task_id, iteration DESC)": "PRIMARY KEY (task_id, iteration)",
    "CREATE INDEX mine ON agents(state)": "index idx_agents_state",
    "CREATE INDEX mine ON audit(task_id, timestamp DESC)": "index idx_audit_task",
    "CREATE INDEX mine ON memory_entries(namespace, key, version)": (
        "UNIQUE (namespace, key, version)"
    ),
    "CREATE INDEX mine ON tasks(status, last_updated_at) where STATUS='running'": (
        "index idx_tasks_running_timeout"
    ),
    # All others are the application's, and stay.
    "CREATE INDEX mine ON state(task_id)": "",
    "CREATE INDEX mine ON state(key, task_id)": "",
    "CREATE INDEX mine ON state(task_id, key, value)": "",
    "CREATE INDEX mine ON state(task_id, key) WHERE key > 'a'": "",
    "CREATE INDEX mine ON state(task_id, key COLLATE NOCASE)": "",
    "CREATE INDEX mine ON state(task_id, lower(key))": "",
    "CREATE INDEX mine ON audit(task_id, timestamp)": "",
    "CREATE UNIQUE INDEX mine ON agents(state)": "",
    "CREATE UNIQUE INDEX mine ON state(id, key)": "",
    "CREATE INDEX mine ON tasks(status, last_updated_at)": "",
    "CREATE INDEX mine ON state(task_id, key);"
    " CREATE VIEW v AS SELECT * FROM state INDEXED BY mine WHERE task_id = 1": "",
    "CREATE TABLE t (a UNIQUE); CREATE INDEX mine ON t(a)": "",
}


@pytest.mark.parametrize("create", INDEXES)
def test_index_is_dropped_only_where_it_repeats_column_for_column(
    create: str, bundle: Bundle
) -> None:
    by = INDEXES[create]
    bundle.sql(create)
    bundle.run("init")
    report = bundle.report()
    assert report["deliverables"]["indexes_dropped"] == (["mine"] if by else [])
    reasons = [one["reason"] for step in report["steps"] for one in step["statements"]]
    assert reasons == ([f"index mine repeats {by}"] if by else [])


def test_rebuild_keeps_what_the_application_added(bundle: Bundle) -> None:
    """Constraints, too: written at a column, at the table, with a name or without."""
    bundle.sql(
        f"INSERT INTO tasks VALUES ({TASKS}, NULL, NULL, NULL, NULL);"
        "CREATE TABLE users (name TEXT PRIMARY KEY);"
    )
    extra = (
        "[what, for] TEXT CONSTRAINT is_short CHECK (length([what, for]) < 5) DEFAULT 'x,' UNIQUE"
        " /* a ) comment, */,\n CONSTRAINT few CHECK (created_at <> 'never'),\n"
        " UNIQUE (session_id, created_at COLLATE NOCASE) ON CONFLICT IGNORE,\n"
        " FOREIGN KEY (state) REFERENCES users ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,\n"
        " PRIMARY KEY"
    )
    remake(
        bundle,
        "checkpoints",
        lambda sql: sql.replace("PRIMARY KEY", extra).replace(
            "iteration  INTEGER NOT NULL,", "iteration INTEGER CHECK (iteration > 0),"
        ),
    )
    bundle.sql(
        "INSERT INTO users VALUES ('u');"
        "INSERT INTO checkpoints (task_id, iteration, state, created_at) VALUES ('a', 1, 'u', 'c')"
    )
    bundle.run("init")  # verify tells that the application's constraints refuse our rows
    assert bundle.report()["deliverables"]["tables_rebuilt"] == ["checkpoints"]
    checks = {check["name"]: check["findings"] for check in bundle.report()["checks"]}
    findings = checks["not managed here"]
    assert findings == [
        "table users",
        "column checkpoints.what, for",
        "CHECK (created_at <> 'never') of table checkpoints",
        "CHECK (iteration > 0) of table checkpoints",
        'CHECK (length ( "what, for" ) < 5) of table checkpoints',
        "UNIQUE (session_id, created_at collate nocase) of table checkpoints",
        "UNIQUE (what, for) of table checkpoints",
        "foreign key (state) -> users(name) of table checkpoints",
    ]
    ((sql,),) = bundle.rows("SELECT sql FROM sqlite_schema WHERE name = 'checkpoints'")
    assert "CONSTRAINT few CHECK" in sql
    assert "DEFERRABLE INITIALLY DEFERRED" in sql
    assert "ON CONFLICT IGNORE" in sql


UNREBUILDABLE = {
    "a key of the application's own": (
        "CREATE TABLE metrics (own INTEGER PRIMARY KEY, timestamp TEXT, metric_name TEXT)",
        "PRIMARY KEY is (own); declared is (id)",
    ),
    "a function that only the application has": (
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT CHECK (length(timestamp)))",
        "",
    ),
}


@pytest.mark.parametrize("case", UNREBUILDABLE)
def test_what_cannot_be_kept_is_not_made_anew(case: str, empty: Bundle, capsys: Any) -> None:
    create, message = UNREBUILDABLE[case]
    empty.sql(create)
    assert empty.run("init") == (3 if message else 0)
    assert message in capsys.readouterr().err


def test_copy_is_kept_before_rows_are_written_anew(empty: Bundle, capsys: Any) -> None:
    older.make(empty.path, 2)
    before = digests(empty.path)
    assert empty.run("init") == 0
    report = empty.report()
    folder = Path(report["copy_before"])
    assert f"a copy of what was there before: {folder}" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == [
        "database.db",
        "report.json",
        "statements.sql",
    ]
    assert digests(folder / "database.db") == before
    assert json.loads((folder / "report.json").read_text("utf-8")) == report
    made = report["deliverables"]["files_created"]
    assert {str(path) for path in folder.iterdir()} == set(made)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    assert str(folder) in report["human_readable_summary"]


def test_no_backup(empty: Bundle, invoke: Invoke) -> None:
    older.make(empty.path, 2)
    assert invoke("init", "--no-backup").returncode == 0
    assert empty.report()["copy_before"] is None
    assert [path.suffix for path in empty.reports.iterdir()] == [".json"]


def test_rebuild_stops_where_no_copy_can_be_kept(
    empty: Bundle, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here by the limit on the size of files that a process may write."""
    import resource

    older.make(empty.path, 2, tasks=400)
    assert empty.run("pragma") == 0
    before = digests(empty.path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        assert empty.run("core") == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = capsys.readouterr().err
    assert "no copy of the database could be kept in" in error
    assert "--no-backup" in error
    assert digests(empty.path) == before


def test_foreign_keys_are_enforced_again_after_a_rebuild(empty: Bundle) -> None:
    from abathur_schema.steps import Target, run_step

    older.make(empty.path, 1)
    target = Target(empty.path)
    for step in ("pragma", "core"):
        assert run_step(target, step).error is None
    assert target.connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert target.connection.execute("PRAGMA legacy_alter_table").fetchone() == (0,)
    target.close()


def test_rename_that_sqlite_refuses_names_what_stands_in_its_way(
    empty: Bundle, capsys: Any
) -> None:
    older.make(empty.path, 1)
    empty.sql(
        "CREATE VIEW all_tasks AS SELECT * FROM tasks;"
        "CREATE TRIGGER into_it INSTEAD OF INSERT ON all_tasks"
        " BEGIN SELECT new.template_name; END;"
    )
    before = digests(empty.path)
    assert empty.run("init") == 3
    error = capsys.readouterr().err
    assert "tasks-prompt.sql cannot be applied: error in trigger into_it" in error
    assert "drop the view or trigger that the message names" in error
    assert digests(empty.path) == before


def test_upgrade_on_a_terminal(empty: Bundle, tmp_path: Path) -> None:
    older.make(empty.path, 1)
    process, terminal = start_on_terminal(tmp_path, "init")
    shown = read_all(terminal)
    assert process.wait() == 0
    assert "1 table rebuilt" in shown


def test_progress_tells_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def slow(value: int) -> int:
        time.sleep(0.002)
        return value

    monkeypatch.setattr(row_count, "STEPS_BETWEEN_LOOKS", 100)
    shown = Terminal()
    progress = Progress(shown)
    with closing(sqlite3.connect(tmp_path / "t.db", isolation_level=None)) as connection:
        connection.create_function("slow", 1, slow)
        connection.executescript(
            "CREATE TABLE t (x); CREATE TABLE n (x); WITH i(x) AS (SELECT 1 UNION ALL"
            " SELECT x + 1 FROM i WHERE x < 1200) INSERT INTO t SELECT x FROM i"
        )
        copy = Statement("INSERT INTO n SELECT slow(x) FROM t", "", table="t", rewrites=True)
        with row_count.counting(progress, connection, copy):
            connection.execute(copy.sql)
        progress.done()
    told = re.findall(r"copying t: about ([\d,]+) of 1,200 rows ... \d s", shown.getvalue())
    rows = [int(number.replace(",", "")) for number in told]
    assert len(rows) >= 2
    assert 0 < rows[0] < rows[-1] <= 1200


def test_two_at_once_on_an_older_database(empty: Bundle, tmp_path: Path) -> None:
    """The second one waits for as long as the first one takes, however long that is."""
    older.make(empty.path, 1, tasks=20_000, audit=20_000)
    assert empty.run("pragma") == 0
    holder = sqlite3.connect(empty.path, isolation_level=None)
    with closing(holder):
        holder.execute("PRAGMA busy_timeout = 0")
        holder.execute("BEGIN IMMEDIATE")
        busy = [
            subprocess.Popen(invoke_command("init"), cwd=tmp_path, env=environment())
            for _ in range(2)
        ]
        time.sleep(11)  # longer than busy_timeout, twice
        assert [process.poll() for process in busy] == [None, None]
        holder.execute("ROLLBACK")
    assert [process.wait() for process in busy] == [0, 0]
    assert not list(empty.reports.glob("*-init/"))


def test_names_in_another_letter_case_hide_no_violation(empty: Bundle) -> None:
    empty.sql(
        "CREATE TABLE Tasks (id TEXT PRIMARY KEY, template_name TEXT NOT NULL, status TEXT NOT NULL"
        ", input_data TEXT NOT NULL, submitted_at TIMESTAMP NOT NULL, started_at, completed_at);"
        "CREATE TABLE State (id INTEGER PRIMARY KEY AUTOINCREMENT, Task_ID TEXT NOT NULL REFERENCES"
        " TASKS(ID), key TEXT NOT NULL, value TEXT NOT NULL, created_at TIMESTAMP NOT NULL,"
        " updated_at TIMESTAMP NOT NULL);"
        "INSERT INTO State VALUES (1, 'gone', 'k', '1', 't', 't')"
    )
    assert empty.run("init") == 1
    assert set(empty.failed()) == {"foreign_key_check"}
    assert empty.report()["deliverables"]["tables_rebuilt"] == ["tasks", "state"]


def test_index_that_ends_in_a_comment_is_made_again(empty: Bundle, invoke: Invoke) -> None:
    older.make(empty.path, 2)
    with closing(sqlite3.connect(empty.path)) as connection:
        connection.execute("CREATE INDEX mine ON tasks(priority) -- mine")
    assert "-- mine\n;" in invoke("plan").stdout
    assert empty.run("init") == 0
    assert ("mine",) in empty.rows("SELECT name FROM sqlite_schema")
