"""`invoke init` and its steps: what they make, that they make it only once, and what they say."""

import hashlib
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from abathur_schema.declared.declaration import STEPS, declared
from tests.support.bundle import Bundle, reports
from tests.support.commands import ROOT, Invoke, environment, invoke_command
from tests.support.machine import need

OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
OURS = "SELECT name FROM sqlite_schema WHERE type = '{}' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"


def names(bundle: Bundle, kind: str) -> set[str]:
    return {name for (name,) in bundle.rows(OURS.format(kind))}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_fresh_database_has_what_is_declared_and_nothing_else(bundle: Bundle) -> None:
    schema = declared().schema
    assert names(bundle, "table") == set(schema.tables)
    assert names(bundle, "index") == {
        index.name for index in schema.indexes.values() if index.origin == "c"
    }
    assert names(bundle, "view") == names(bundle, "trigger") == set()
    assert bundle.rows("PRAGMA journal_mode") == [("wal",)]
    assert not bundle.path.with_name("abathur.db-wal").exists()
    (report,) = reports(bundle.reports)
    assert report["execution_status"]["status"] == "SUCCESS"
    assert report["execution_status"]["completion"] == "Milestone 2"
    assert set(report["deliverables"]["tables_created"]) == set(schema.tables)
    assert report["deliverables"]["files_created"] == [str(bundle.path)]


def test_second_run_changes_nothing(bundle: Bundle) -> None:
    bundle.sql("INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'chat', 'alice')")
    before, objects = digest(bundle.path), bundle.rows(OBJECTS)
    assert bundle.run("init") == 0
    assert bundle.rows(OBJECTS) == objects
    assert digest(bundle.path) == before
    report = bundle.report()
    assert {step["name"]: step["status"] for step in report["steps"]} == dict.fromkeys(
        (*STEPS, "verify"), "unchanged"
    )
    assert not any(step["statements"] for step in report["steps"])
    assert report["deliverables"]["files_created"] == report["deliverables"]["files_modified"] == []
    assert "nothing was changed" in report["human_readable_summary"]


def test_lines_that_a_user_sees(invoke: Invoke, tmp_path: Path) -> None:
    first, second = invoke("init"), invoke("init")
    assert first.returncode == second.returncode == 0
    for result, changed in ((first, True), (second, False)):
        *lines, last = result.stdout.splitlines()
        assert [line.split()[0] for line in lines] == [*STEPS, "verify"]
        assert all(line.endswith(" ms") for line in lines)
        assert ["unchanged" in line for line in lines[:-1]] == [not changed] * len(STEPS)
        assert last.startswith(f"report: {tmp_path / 'reports'}")
        assert result.stderr == ""


def test_steps_one_by_one_make_the_same_as_init(
    empty: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for step in STEPS:
        assert empty.run(step) == 0
        assert empty.report()["steps"][0]["status"] == "changed"
        assert empty.run(step) == 0
        assert empty.report()["steps"][0]["status"] == "unchanged"
    assert empty.run("verify") == 0
    whole = Bundle(tmp_path_factory.mktemp("whole"))
    assert whole.run("init") == 0
    assert empty.rows(OBJECTS) == whole.rows(OBJECTS)


def test_milestones_as_they_are_reached(empty: Bundle) -> None:
    reached = []
    for step in STEPS:
        assert empty.run(step) == 0
        reached.append(empty.report()["execution_status"]["completion"])
    assert reached == [None, None, "Milestone 1", "Milestone 1", "Milestone 2"]


def test_database_that_rests_at_core_takes_writes(empty: Bundle) -> None:
    """An INSERT into a table without its parent table would fail, even with NULL."""
    for step in ("pragma", "core"):
        assert empty.run(step) == 0
    made = empty.report()["orchestration_context"]["dependencies_resolved"]
    assert {line.split()[0] for line in made} == {"sessions", "memory_entries"}
    empty.sql(
        "PRAGMA foreign_keys = ON;"
        "INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'chat', 'alice');"
        "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
        " VALUES ('t', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');"
        "UPDATE tasks SET session_id = 's';"
        "INSERT INTO audit (timestamp, task_id, action_type) VALUES ('2026-01-01', 't', 'start')"
    )
    assert empty.run("init") == 0
    assert empty.rows("SELECT session_id FROM tasks") == [("s",)]


def test_database_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path / "one" / "two")
    bundle.reports = tmp_path / "reports"
    assert bundle.run("init") == 0
    assert bundle.report()["deliverables"]["files_created"] == [
        str(tmp_path / "one"),
        str(tmp_path / "one" / "two"),
        str(bundle.path),
    ]


def test_json_is_the_report_and_nothing_else(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("init", "--json")
    (path,) = (tmp_path / "reports").glob("*.json")
    assert result.stdout == path.read_text("utf-8")


def test_configuration_as_users_of_invoke_expect(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("init", INVOKE_DATABASE="a.db", INVOKE_REPORTS="ra").returncode == 0
    assert (tmp_path / "a.db").is_file()
    assert (tmp_path / "ra").is_dir()
    assert invoke("init", "-d", "b.db", INVOKE_DATABASE="a.db").returncode == 0
    assert (tmp_path / "b.db").is_file()


def test_configuration_file_beside_tasks(invoke_in: Invoke, checkout: Path, tmp_path: Path) -> None:
    (checkout / "invoke.yaml").write_text("database: c.db\nreports: rc\n")
    assert invoke_in("init").returncode == 0
    assert (tmp_path / "c.db").is_file()
    assert (tmp_path / "rc").is_dir()


def test_help_reads_like_a_manual(invoke: Invoke) -> None:
    listed = invoke("--list").stdout
    for task in ("init", *STEPS, "verify"):
        assert f"\n  {task} " in listed
        manual = invoke("--help", task).stdout
        for option in ("-d STRING, --database=STRING", "-r STRING, --reports=STRING", "--json"):
            assert option in manual
        assert "default: abathur.db" in manual


@pytest.mark.parametrize("number", [2, 6])
def test_many_at_once_on_one_new_file(number: int, tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            invoke_command("init"),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    results = [(*process.communicate(timeout=60), process.returncode) for process in running]
    assert [(error, code) for _, error, code in results] == [("", 0)] * number
    found = reports(tmp_path / "reports")
    assert len(found) == number
    created = [name for one in found for name in one["deliverables"]["tables_created"]]
    assert sorted(created) == sorted(declared().schema.tables)
    assert sum(one["deliverables"]["files_created"] != [] for one in found) == 1


def test_killed_at_any_time_the_next_run_finishes(tmp_path: Path, invoke: Invoke) -> None:
    """A quick sample: kill the process at moments spread over its run."""
    bundle = Bundle(tmp_path)
    started = time.perf_counter()
    assert bundle.run("init") == 0
    command = invoke_command("init")
    lasts = time.perf_counter() - started
    for moment in range(8):
        bundle.path.unlink(missing_ok=True)
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while not bundle.path.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(lasts * moment / 8)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert bundle.rows("PRAGMA integrity_check") == [("ok",)]
        assert bundle.run("init") == 0
        assert bundle.run("verify") == 0


def test_each_file_runs_by_itself_through_the_command_line(tmp_path: Path, invoke: Invoke) -> None:
    need("sqlite3")
    path = tmp_path / "abathur.db"
    for name in ("pragma", "memory", "core", "core-indexes", "memory-indexes"):
        with (ROOT / "sql" / f"{name}.sql").open() as script:
            # Without LD_LIBRARY_PATH: the command line needs the system's SQLite.
            subprocess.run(
                ["sqlite3", "-bail", path],
                stdin=script,
                env={},
                check=True,
                stdout=subprocess.DEVNULL,
            )
    before = digest(path)
    result = invoke("verify")
    assert (result.returncode, result.stderr) == (0, "")
    assert invoke("init").returncode == 0
    assert digest(path) == before


def test_declared_tables_can_be_altered() -> None:
    """ALTER TABLE edits the text of a table, and a comma in a comment before the last column makes
    DROP COLUMN fail with "incomplete input".
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name, table in declared().schema.tables.items():
        connection.execute(declared().creates[name])
        connection.execute(f"ALTER TABLE {name} ADD COLUMN extra TEXT")
        connection.execute(f"ALTER TABLE {name} DROP COLUMN extra")
        connection.execute(f"ALTER TABLE {name} DROP COLUMN {table.columns[-1].name}")
    connection.close()


SPELLINGS = {
    "REFERENCES tasks(id)": 'references "TASKS"',
    "REFERENCES agents(id)": "CONSTRAINT of_agent REFERENCES [agents]",
    "metric_value": "[Metric_Value]",
    "TEXT NOT NULL": "text /* ! */ not null",
    "DEFAULT 'general'": 'DEFAULT "general"',
    "DEFAULT 'pending'": "DEFAULT pending",
    "BOOLEAN NOT NULL DEFAULT 0": "BOOLEAN NOT NULL DEFAULT FALSE",
    "DEFAULT 3600": "DEFAULT (3600)",
    "DEFAULT CURRENT_TIMESTAMP": "DEFAULT current_timestamp",
    "CHECK (json_valid(state))": "CONSTRAINT state_is_json CHECK ( JSON_valid( `state` ) )",
    "namespace   TEXT": "Namespace TEXT COLLATE BINARY",
    "idx_tasks_parent": "IDX_Tasks_Parent",
    "result_data TEXT": "result_data TEXT DEFAULT NULL",
    "(namespace, key, version)": '("namespace", KEY, version)',
    "WHERE is_deleted = 0": "where (IS_DELETED=0)",
}


def test_database_of_another_spelling_is_the_same(empty: Bundle) -> None:
    """White space, comments, quoting and letter case make no difference."""
    connection = sqlite3.connect(empty.path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for create in declared().creates.values():
        lines = (line.partition("--")[0] for line in create.splitlines())
        bare = " ".join(" ".join(lines).split())
        for old, new in SPELLINGS.items():
            bare = bare.replace(" ".join(old.split()), new)
        connection.execute(bare)
    connection.close()
    assert empty.run("init") == 0
    assert {step["status"] for step in empty.report()["steps"]} == {"unchanged"}
