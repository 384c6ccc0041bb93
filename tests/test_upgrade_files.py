"""`sql/upgrades/`: files that users with an older schema of their own can add."""

import re
from pathlib import Path

import pytest

from tests.support.bundle import Bundle, reports
from tests.support.commands import ROOT, Invoke

OLDER = """
CREATE TABLE job (id TEXT PRIMARY KEY, what TEXT NOT NULL, state TEXT NOT NULL, at TIMESTAMP);
INSERT INTO job VALUES ('a', 'do this', 'NEW', '2020-01-01'), ('b', 'do that', 'OLD', '2020-01-02');
"""
FILES = {
    "1-jobs-are-tasks.sql": """\
-- Tasks were called jobs
-- step: core
-- has: job, job.what
-- lacks: tasks
ALTER TABLE job RENAME TO tasks;
ALTER TABLE tasks RENAME COLUMN what TO prompt;
ALTER TABLE tasks RENAME COLUMN state TO status;
ALTER TABLE tasks RENAME COLUMN at TO submitted_at;
""",
    "2-statuses.sql": """\
-- Statuses were in capitals
-- step: core
-- has: tasks.status
-- lacks: tasks.input_data
UPDATE tasks SET status = lower(status);
ALTER TABLE tasks ADD COLUMN input_data TEXT;
""",
    "input.sql": """\
-- Jobs had no input
-- fills: tasks.input_data
SELECT '{}' FROM tasks;
""",
}


def test_users_own_upgrades_run_once_in_the_order_of_their_names(
    checkout: Path, invoke_in: Invoke, empty: Bundle
) -> None:
    for name, text in FILES.items():
        (checkout / "sql" / "upgrades" / name).write_text(text)
    empty.sql(OLDER)
    result = invoke_in("init")
    assert result.returncode == 3
    file = checkout / "sql" / "upgrades" / "tasks-last-updated-at.sql"
    assert f"{file} has no value for tasks.last_updated_at: no such column" in result.stderr
    file.write_text(
        file.read_text().replace("coalesce(completed_at, started_at, submitted_at)", "submitted_at")
    )
    result = invoke_in("init")
    assert result.returncode == 3  # `fills:` gives no value to a column that exists
    assert "tasks.input_data may not be NULL: 2 rows violate this" in result.stderr
    file = checkout / "sql" / "upgrades" / "2-statuses.sql"
    file.write_text(file.read_text().replace("input_data TEXT;", "input_data TEXT DEFAULT '{}';"))
    result = invoke_in("init")
    assert (result.returncode, result.stderr) == (0, "")
    report = reports(empty.reports)[-1]
    assert report["deliverables"]["upgrades_run"] == ["1-jobs-are-tasks.sql", "2-statuses.sql"]
    assert empty.rows("SELECT id, prompt, status, last_updated_at FROM tasks") == [
        ("a", "do this", "new", "2020-01-01"),
        ("b", "do that", "old", "2020-01-02"),
    ]
    assert report["copy_before"]  # an UPDATE rewrites rows
    assert invoke_in("plan").returncode == 0
    assert reports(empty.reports)[-1] == report


def test_fill_gives_a_new_column_its_value(
    checkout: Path, invoke_in: Invoke, empty: Bundle
) -> None:
    """Even where it could be added without one; no trigger of the application fires."""
    (checkout / "sql" / "upgrades" / "sessions.sql").write_text(
        "-- A checkpoint was made in the session of that name\n"
        "-- fills: checkpoints.session_id\n"
        "SELECT nullif(state, 'none')\n  FROM checkpoints;\n"
    )
    empty.sql(
        "CREATE TABLE tasks (id TEXT PRIMARY KEY, template_name TEXT NOT NULL, status TEXT NOT NULL"
        ", input_data TEXT NOT NULL, submitted_at TIMESTAMP NOT NULL, started_at, completed_at);"
        "CREATE TABLE checkpoints (task_id TEXT NOT NULL REFERENCES tasks(id), iteration INTEGER"
        " NOT NULL, state TEXT NOT NULL, created_at TIMESTAMP NOT NULL,"
        " PRIMARY KEY (task_id, iteration));"
        "CREATE TRIGGER t AFTER UPDATE ON checkpoints BEGIN SELECT raise(ABORT, 'heard'); END;"
        "INSERT INTO tasks VALUES ('a', 'x', 's', '{}', '2020', NULL, NULL);"
        "INSERT INTO checkpoints VALUES ('a', 1, 'none', 't')"
    )
    result = invoke_in("init")
    assert (result.returncode, result.stderr) == (0, "")
    assert empty.rows("SELECT session_id FROM checkpoints") == [(None,)]
    empty.sql("DROP TABLE checkpoints; DROP VIEW IF EXISTS x")


WRONG = {
    "-- no condition\n-- step: core\nSELECT 1;": "which say when it applies",
    "-- no step\n-- has: tasks\nSELECT 1;": "needs `-- step: STEP` at its top",
    "-- wrong step\n-- step: verify\n-- has: tasks\nSELECT 1;": "needs `-- step: STEP` at its top",
    "SELECT 1;": "needs a comment line with its name at its top",
    "-- only a comment\n": "needs a comment line with its name at its top",
    "-- open\n-- step: core\n-- has: tasks\nSELECT 1": "no semicolon ends the statement",
    "-- no column\n-- fills: tasks\nSELECT 1 FROM tasks;": "-- fills: table.column",
    "-- no SELECT\n-- fills: tasks.prompt\nUPDATE tasks SET prompt = 1;": "SELECT expression FROM",
    "-- unknown\n-- fills: tasks.nothing\nSELECT 1 FROM tasks;": "that sql/ does not declare",
}


@pytest.mark.parametrize("text", WRONG)
def test_file_that_is_wrong_is_named(
    text: str, checkout: Path, invoke_in: Invoke, tmp_path: Path
) -> None:
    (checkout / "sql" / "upgrades" / "mine.sql").write_text(text)
    result = invoke_in("init")
    assert (result.returncode, result.stdout) == (2, "")
    assert f"{checkout}/sql/upgrades/mine.sql" in result.stderr
    assert WRONG[text] in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


BLOCKED = {
    "-- x\n-- step: core\n-- has: tasks\nDROP TABLE absent;": "cannot be applied: no such table",
    "-- x\n-- step: core\n-- has: tasks\nSELECT 1;": "would apply again after it ran",
}


@pytest.mark.parametrize("text", BLOCKED)
def test_upgrade_that_does_not_work_stops_the_step(
    text: str, checkout: Path, invoke_in: Invoke, empty: Bundle
) -> None:
    assert empty.run("init") == 0
    before = empty.rows("SELECT * FROM sqlite_schema")
    (checkout / "sql" / "upgrades" / "mine.sql").write_text(text)
    assert invoke_in("plan").returncode == 1
    result = invoke_in("init")
    assert result.returncode == 3
    assert BLOCKED[text] in result.stderr
    assert empty.rows("SELECT * FROM sqlite_schema") == before


def test_documentation_shows_the_files_as_they_are() -> None:
    text = (ROOT / "docs" / "upgrades.md").read_text("utf-8")
    shown = set(re.findall(r"^```sql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert shown == {path.read_text("utf-8") for path in (ROOT / "sql" / "upgrades").glob("*.sql")}
