"""A schema of one's own on top of ours: made, planned, upgraded and verified like ours."""

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema import Database
from abathur_schema.errors import UsageError
from tests.support import older
from tests.support.bundle import reports
from tests.support.commands import ROOT, Invoke
from tests.support.fingerprints import digests
from tests.support.generation_4 import running

DEPENDENCIES = """\
CREATE TABLE task_dependencies (
    id TEXT PRIMARY KEY,
    dependent_task_id TEXT NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
    prerequisite_task_id TEXT NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
    dependency_type TEXT NOT NULL CHECK (dependency_type IN ('sequential', 'parallel')),
    created_at TIMESTAMP NOT NULL,
    resolved_at TIMESTAMP,
    CHECK (dependent_task_id != prerequisite_task_id),
    UNIQUE (dependent_task_id, prerequisite_task_id)
);
"""
WAITING = "CREATE INDEX idx_waiting ON task_dependencies(prerequisite_task_id, resolved_at);"
SOURCE = "ALTER TABLE tasks ADD COLUMN source TEXT NOT NULL DEFAULT 'human'; -- who asked"
QUERY = """\
-- The tasks that wait for a task
-- index: idx_waiting
SELECT dependent_task_id FROM task_dependencies WHERE prerequisite_task_id = :task_id;
"""
REJECTED = """\
-- task_dependencies refuses a task that waits for itself
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', '', '', '', '', '');

-- CHECK constraint failed: dependent_task_id != prerequisite_task_id
INSERT INTO task_dependencies VALUES ('d1', 't1', 't1', 'parallel', '', NULL);
"""
FILES = {
    "sql/core.sql": f"-- What a task waits for\n{DEPENDENCIES}\n-- Who it is from\n{SOURCE}\n",
    "sql/core-indexes.sql": WAITING,
    "checks/plans/tasks-that-wait.sql": QUERY,
    "checks/rejects/task_dependencies.sql": REJECTED,
}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write(tmp_path / "own", FILES)


def columns(path: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def test_is_made_planned_and_verified_with_ours(invoke: Invoke, own: Path, tmp_path: Path) -> None:
    assert "task_dependencies" in invoke("plan", "--schema", "own").stdout
    assert invoke("init", "--schema", "own").returncode == 0
    made, path = reports(tmp_path / "reports")[-1], tmp_path / "abathur.db"
    assert "task_dependencies" in made["deliverables"]["tables_created"]
    assert made["orchestration_context"]["context_for_next_agent"]["own_schema"] == str(own)
    names = {check["name"] for check in made["checks"]}
    assert {QUERY.splitlines()[0][3:], REJECTED.splitlines()[0][3:]} <= names
    assert columns(path, "tasks")[-1] == "source"
    assert invoke("plan", "--schema", "own").returncode == 0
    again = invoke("init", "--schema", "own").stdout
    assert again.count("unchanged") == 5
    without = invoke("verify")
    assert without.returncode == 0
    assert "table task_dependencies" in without.stdout


@pytest.mark.parametrize("how", ["option", "environment", "configuration"])
def test_is_named_as_the_other_settings_are(
    invoke_in: Invoke, checkout: Path, own: Path, tmp_path: Path, how: str
) -> None:
    if how == "configuration":
        (checkout / "invoke.yaml").write_text(f"schema: {own}\n")
    options = ["--schema", "own"] if how == "option" else []
    variables = {"INVOKE_SCHEMA": "own"} if how == "environment" else {}
    assert invoke_in("init", *options, **variables).returncode == 0
    assert "source" in columns(tmp_path / "abathur.db", "tasks")


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_older_databases_are_brought_to_it(
    invoke: Invoke, own: Path, tmp_path: Path, generation: int
) -> None:
    older.make(tmp_path / "abathur.db", generation)
    assert invoke("init", "--schema", str(own)).returncode == 0
    with closing(sqlite3.connect(tmp_path / "abathur.db")) as connection:
        assert connection.execute("SELECT DISTINCT source FROM tasks").fetchall() == [("human",)]
    assert invoke("verify", "--schema", str(own)).returncode == 0
    assert "unchanged" in invoke("core", "--schema", str(own)).stdout


def test_application_of_generation_4_goes_on_with_its_table_declared(
    invoke: Invoke, own: Path, tmp_path: Path
) -> None:
    path = tmp_path / "abathur.db"
    with running(path) as application:
        application.start()
        application.work()
        assert invoke("init", "--schema", "own").returncode == 0
        application.work()
    before = reports(tmp_path / "reports")[-1]
    assert "task_dependencies" not in before["deliverables"]["tables_created"]
    assert before["deliverables"]["tables_changed"].count("task_dependencies") == 0
    with running(path) as application:
        assert application.start() == [], "its next start finds something to change"
        application.work()
    assert invoke("init", "--schema", "own").stdout.count("unchanged") == 5


def test_what_is_missing_of_it_is_found_and_mended(
    invoke: Invoke, own: Path, tmp_path: Path
) -> None:
    invoke("init", "--schema", "own")
    with closing(sqlite3.connect(tmp_path / "abathur.db")) as connection:
        connection.executescript("DROP INDEX idx_waiting; DROP TABLE task_dependencies")
    found = invoke("verify", "--schema", "own")
    assert found.returncode == 1
    assert "table task_dependencies is missing" in found.stdout
    assert invoke("init", "--schema", "own").returncode == 0


def test_new_column_is_filled_by_an_upgrade_of_its_own(
    invoke: Invoke, own: Path, tmp_path: Path
) -> None:
    fill = "-- Tasks say who asked\n-- fills: tasks.source\nSELECT created_by FROM tasks;\n"
    fill = fill.replace("created_by", "coalesce(created_by, 'unknown')")
    write(own, {"sql/upgrades/source.sql": fill})
    older.make(tmp_path / "abathur.db", 3)
    assert invoke("init", "--schema", "own").returncode == 0
    with closing(sqlite3.connect(tmp_path / "abathur.db")) as connection:
        other = "SELECT count(*) FROM tasks WHERE source <> coalesce(created_by, 'unknown')"
        assert connection.execute(other).fetchone() == (0,)


def test_rejected_rows_must_be_rejected(invoke: Invoke, own: Path) -> None:
    weaker = {name: text.replace("!=", "IS NOT") for name, text in FILES.items()}
    write(own, {"sql/core.sql": weaker["sql/core.sql"].replace("    CHECK (dependent", "    -- (")})
    assert invoke("init", "--schema", "own").returncode == 1


def test_what_is_declared_again_in_the_same_form_is_no_fault(invoke: Invoke, own: Path) -> None:
    again = "create index IDX_AGENTS_TASK on agents ( task_id );\n"
    sessions = (ROOT / "sql" / "memory.sql").read_text().replace("CREATE TABLE", "create  table")
    write(own, {"sql/core-indexes.sql": again + WAITING, "sql/memory.sql": sessions})
    assert invoke("init", "--schema", "own").returncode == 0


OURS = ROOT / "sql"
FILL = "-- A\n-- fills: tasks.prompt\nSELECT 'x' FROM tasks;\n"
DUPLICATE = "-- The next task to run: the most urgent first, then the oldest\nSELECT 1;\n"
BAD: dict[str, tuple[dict[str, str], list[str]]] = {
    "a table in another form": (
        {"sql/memory.sql": "CREATE TABLE agents (id TEXT PRIMARY KEY);"},
        ["own/sql/memory.sql", str(OURS / "core.sql"), "agents in another form"],
    ),
    "an index in another form": (
        {"sql/core-indexes.sql": "CREATE INDEX IF NOT EXISTS idx_agents_task ON agents(name);"},
        ["own/sql/core-indexes.sql", str(OURS / "core-indexes.sql"), "idx_agents_task"],
    ),
    "an index that has the name of a table": (
        {"sql/core-indexes.sql": "CREATE INDEX tasks ON agents(name);"},
        ["own/sql/core-indexes.sql", str(OURS / "core.sql")],
    ),
    "a column that is there": (
        {"sql/core.sql": "ALTER TABLE tasks ADD COLUMN prompt TEXT;"},
        ["own/sql/core.sql", str(OURS / "core.sql"), "duplicate column name"],
    ),
    "a column that ALTER TABLE cannot add": (
        {"sql/core.sql": "ALTER TABLE tasks ADD COLUMN source TEXT NOT NULL;"},
        ["own/sql/core.sql", "source of tasks is NOT NULL"],
    ),
    "a column of a table that nobody declares": (
        {"sql/core.sql": "ALTER TABLE nowhere ADD COLUMN source TEXT;"},
        ["own/sql/core.sql", "nowhere"],
    ),
    "a column taken away": (
        {"sql/core.sql": "ALTER TABLE tasks DROP COLUMN created_by;"},
        ["own/sql/core.sql", "only CREATE statements"],
    ),
    "rows of a table": (
        {"sql/core.sql": "CREATE TABLE t (x); INSERT INTO t VALUES (1);"},
        ["own/sql/core.sql", "only CREATE statements"],
    ),
    "a view that has the name of a table": (
        {"sql/core.sql": "CREATE VIEW tasks AS SELECT 1;"},
        ["own/sql/core.sql", str(OURS / "core.sql")],
    ),
    "an index before its table": (
        {"sql/core-indexes.sql": "CREATE INDEX i ON document_index(title);"},
        ["own/sql/core-indexes.sql", "index i is on document_index", "later step memory"],
    ),
    "a trigger before its table": (
        {"sql/core.sql": "CREATE TRIGGER t AFTER DELETE ON document_index BEGIN SELECT 1; END;"},
        ["own/sql/core.sql", "trigger t is on document_index", "later step memory"],
    ),
    "settings": ({"sql/pragma.sql": "PRAGMA synchronous = OFF;"}, ["sql/pragma.sql", "settings"]),
    "a file of no step": ({"sql/extra.sql": "CREATE TABLE t (x);"}, ["own/sql/extra.sql"]),
    "no SQL": ({"sql/core.sql": "CREATE TABL t (x);"}, ["own/sql/core.sql", "syntax error"]),
    "a fill of a column that ours fills": (
        {"sql/upgrades/a.sql": FILL.replace("prompt", "last_updated_at")},
        ["own/sql/upgrades/a.sql", str(OURS / "upgrades")],
    ),
    "a fill of no column": (
        {"sql/upgrades/a.sql": FILL.replace("prompt", "nothing")},
        ["own/sql/upgrades/a.sql"],
    ),
    "a query with the name of ours": (
        {"checks/plans/next-task.sql": QUERY},
        ["own/checks/plans/next-task.sql", str(ROOT / "checks" / "plans" / "next-task.sql")],
    ),
    "a check with the title of ours": (
        {"checks/plans/other.sql": DUPLICATE.replace("\n", "\n-- index: idx_waiting\n", 1)},
        ["own/checks/plans/other.sql", "next-task.sql"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_contradiction_names_the_files_and_touches_nothing(
    invoke: Invoke, own: Path, tmp_path: Path, case: str
) -> None:
    files, told = BAD[case]
    shutil.rmtree(own)
    write(own, files)
    for task in ("init", "verify", "plan"):
        if task == "verify":
            (tmp_path / "abathur.db").touch()
        result = invoke(task, "--schema", "own")
        if task == "plan" and all(name.startswith("checks/") for name in files):
            continue  # it proves nothing
        assert (result.returncode, result.stdout) == (2, ""), result.stderr
        for text in told:
            assert text in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "reports").exists()
    assert (tmp_path / "abathur.db").stat().st_size == 0


@pytest.mark.parametrize("value", ["nowhere", "", "\0", "abathur.db"])
def test_no_such_folder(invoke: Invoke, tmp_path: Path, value: str) -> None:
    (tmp_path / "abathur.db").touch()
    before = digests(tmp_path / "abathur.db") if value else None
    if "\0" in value:
        with pytest.raises(UsageError, match="not a path for the schema"):
            Database(tmp_path / "a.db", schema=value)
        return
    result = invoke("init", "--schema", value)
    assert result.returncode == (2 if value else 0)
    if value:
        assert "is not a schema" in result.stderr
        assert digests(tmp_path / "abathur.db") == before


async def test_application_reads_by_its_own_queries(own: Path, tmp_path: Path) -> None:
    async with Database(tmp_path / "a.db", schema=own) as db:
        assert await db.fetch("tasks-that-wait", task_id="t1") == []
        assert await db.fetch("next-task", status="ready", limit=1) == []
        assert {check.status for check in await db.verify()} == {"pass"}
    async with Database(tmp_path / "a.db") as db:
        with pytest.raises(UsageError, match="no query tasks-that-wait"):
            await db.fetch("tasks-that-wait", task_id="t1")
    async with Database(":memory:", schema=str(own)) as db, db.connection() as conn:
        rows = await conn.execute_fetchall("SELECT count(*) FROM task_dependencies")
        assert [tuple(row) for row in rows] == [(0,)]


def test_state_of_a_failed_step_names_it(invoke: Invoke, own: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "abathur.db")) as connection:
        connection.execute("CREATE VIEW task_dependencies AS SELECT 1")
    result = invoke("init", "--schema", "own", "--json")
    assert result.returncode == 3
    report = json.loads(result.stdout)
    assert report["orchestration_context"]["context_for_next_agent"]["own_schema"] == str(own)
    assert os.path.isdir(report["failure"]["preserved_state"])  # noqa: PTH112
