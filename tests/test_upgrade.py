"""Older databases are upgraded in place, and lose nothing."""

import io
import re
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from abathur_schema.planning.statement import Statement
from abathur_schema.progress import Progress
from abathur_schema.steps import row_count
from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, environment, invoke_command
from tests.support.fingerprints import columns, digests, old_digests, renamed
from tests.support.terminal import read_all, start_on_terminal
from tests.support.upgrading import planned

CORE = ("tasks", "agents", "state", "audit", "metrics", "checkpoints")
REPEATED = ["idx_checkpoints_task", "idx_state_task_key"]


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
    assert planned(empty.path, invoke) == []

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
    assert not any("INSERT" in text or "DROP TABLE" in text for text in statements)
    assert report["deliverables"]["tables_changed"] == ["agents", "audit", "checkpoints"]
    assert report["deliverables"]["tables_rebuilt"] == []
    assert report["copy_before"] is None
    assert report["deliverables"]["columns_added"][0] == "tasks.session_id"
    after = dict(empty.rows("SELECT name, sql FROM sqlite_schema"))
    assert all(after[name] == sql for name, sql in before.items() if name not in (*CORE, *REPEATED))


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
    """As far as SQLite permits: last_updated_at is NOT NULL and has no default, and nothing can
    give it a value in an INSERT that leaves it out (docs/upgrades.md).
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
    assert output.err.splitlines()[0] == "foreign key violations that existed before: 5"
    assert "  table state, row 16: task_id has no row in tasks" in output.err
    assert f'sqlite3 {empty.path} "PRAGMA foreign_key_check"' in output.err
    assert "set its column to NULL" in output.err
    report = empty.report()
    assert report["foreign_keys_before"]["violations"] == 5  # audit.task_id is no foreign key now
    assert report["foreign_keys_before"]["by_foreign_key"]["state(task_id) -> tasks"] == 1
    assert len(report["foreign_keys_before"]["first"]) == 5
    assert len(empty.failed()["foreign_key_check"]) == 5
    assert empty.run("init") == 1  # nothing left to change, so it is not said again
    assert "that existed before" not in capsys.readouterr().err


def test_sound_database_has_no_violations_to_tell(empty: Bundle, capsys: Any) -> None:
    older.make(empty.path, 1)
    assert empty.run("init") == 0
    assert capsys.readouterr().err == ""
    assert empty.report()["foreign_keys_before"]["violations"] == 0


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
    """The second one waits for the first, however long that takes."""
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
