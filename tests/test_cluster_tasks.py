"""The tasks on a cluster: they do what they do to a file, or say what to do instead."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.bundle import OBJECTS, Bundle, reports
from tests.support.commands import Invoke, Told, environment, invoke_command
from tests.support.rqlite import Cluster

SESSION = "INSERT INTO sessions (id, app_name, user_id, created_at, last_update_time)"


def test_init_as_on_a_file(
    on_cluster: Told, cluster: Cluster, bundle: Bundle, tmp_path: Path
) -> None:
    code, said = on_cluster("plan")
    assert code == 1
    assert "CREATE TABLE tasks" in said
    assert cluster.same_rows(OBJECTS) == []
    code, said = on_cluster("init")
    assert (code, "checks passed" in said) == (0, True), said
    report = reports(tmp_path / "reports")[-1]
    assert (
        report["orchestration_context"]["context_for_next_agent"]["database_path"]
        == cluster.address
    )
    assert cluster.same_rows(OBJECTS) == bundle.rows(OBJECTS)
    code, said = on_cluster("init")
    statuses = {step["name"]: step["status"] for step in reports(tmp_path / "reports")[-1]["steps"]}
    assert (code, {*statuses.values()}) == (0, {"unchanged"})
    code, said = on_cluster("plan")
    assert (code, "nothing to do" in said) == (0, True)
    code, said = on_cluster("verify")
    assert (code, "checks passed" in said) == (0, True)
    (apart,) = [
        one for one in reports(tmp_path / "reports")[-1]["checks"] if "left out" in one["name"]
    ]
    assert apart["status"] == "info"
    names = [line.partition(":")[0] for line in apart["findings"]]
    assert names[:2] == ["settings of sql/pragma.sql", "integrity_check"]
    assert all(line in said for line in apart["findings"])


def test_the_optional_step(on_cluster: Told, cluster: Cluster) -> None:
    assert on_cluster("init")[0] == 0
    code, said = on_cluster("search")
    assert code == 0, said
    cluster.execute(
        "INSERT INTO document_index (file_path, title, content_hash, created_at, updated_at)"
        " VALUES ('a.md', 'quick fox', 'h', '2026', '2026')"
    )
    query = "SELECT rowid FROM document_search WHERE document_search MATCH 'fox'"
    assert cluster.same_rows(query) == [(1,)]
    # After it, virtual tables come last in the schema.
    for node in cluster.nodes:
        node.run("/db/execute", "VACUUM")
    code, said = on_cluster("verify")
    assert (code, "document_search" in said) == (0, True), said


def test_one_step_at_a_time(on_cluster: Told, cluster: Cluster, tmp_path: Path) -> None:
    """The memory tables come two weeks after the core tables."""
    for step, code in (
        ("core-indexes", 2),
        ("memory-indexes", 2),
        ("core", 0),
        ("memory-indexes", 2),
    ):
        found, said = on_cluster(step)
        assert found == code, said
        assert ("nothing was touched" in said) == (code == 2)
    for step in ("core-indexes", "memory", "memory-indexes"):
        assert on_cluster(step)[0] == 0
        assert reports(tmp_path / "reports")
    assert on_cluster("verify")[0] == 0
    assert on_cluster("plan")[0] == 0


def test_a_schema_of_ones_own(on_cluster: Told, cluster: Cluster, tmp_path: Path) -> None:
    own = tmp_path / "own" / "sql"
    own.mkdir(parents=True)
    (own / "core.sql").write_text(
        "-- Notes.\nCREATE TABLE notes (id INTEGER PRIMARY KEY, of TEXT REFERENCES tasks(id));\n"
    )
    (own / "core-indexes.sql").write_text("-- By task.\nCREATE INDEX idx_notes_of ON notes(of);\n")
    plans = tmp_path / "own" / "checks" / "plans"
    plans.mkdir(parents=True)
    (plans / "notes.sql").write_text(
        "-- Which notes are about a task?\n-- index: idx_notes_of\n"
        "SELECT id FROM notes WHERE of = :task;\n"
    )
    code, said = on_cluster("init", "--schema", str(tmp_path / "own"))
    assert code == 0, said
    assert on_cluster("verify", "--schema", str(tmp_path / "own"))[0] == 0
    query = "SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'notes'"
    assert cluster.same_rows(query) == [(2,)]


@pytest.mark.parametrize("number", [2, 5])
def test_several_init_at_once(
    number: int, cluster: Cluster, bundle: Bundle, tmp_path: Path
) -> None:
    running = [
        subprocess.Popen(
            invoke_command("init", "-d", cluster.address, "--reports", f"reports-{one}"),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for one in range(number)
    ]
    said = [one.communicate(timeout=60)[0] for one in running]
    assert [one.returncode for one in running] == [0] * number, said
    assert cluster.same_rows(OBJECTS) == bundle.rows(OBJECTS)
    made = [
        table
        for one in range(number)
        for report in reports(tmp_path / f"reports-{one}")
        for table in report["deliverables"]["tables_created"]
    ]
    assert len(made) == len(set(made)) == 9


def test_backup_and_restore(
    on_cluster: Told, cluster: Cluster, invoke: Invoke, tmp_path: Path
) -> None:
    assert on_cluster("init")[0] == 0
    cluster.execute(f"{SESSION} VALUES ('kept', 'a', 'u', '2026-01-02 03:04:05', x'00ff')")
    code, said = on_cluster("backup")
    assert code == 0, said
    (kept,) = (tmp_path / "reports").glob("*-backup")
    cluster.execute("DELETE FROM sessions")
    code, said = on_cluster("restore", str(kept), "--rehearse")
    assert (code, "rehearsal" in said) == (0, True)
    assert cluster.same_rows("SELECT id FROM sessions") == []
    code, said = on_cluster("restore", str(kept))
    assert (code, "a cluster cannot be locked" in said) == (0, True)
    query = "SELECT id, created_at, last_update_time FROM sessions"
    wanted = [("kept", "2026-01-02 03:04:05", b"\0\xff")]
    assert cluster.same_rows(query) == wanted
    assert on_cluster("verify")[0] == 0
    result = invoke("restore", str(kept), "--database", "local.db")
    assert result.returncode == 0, result.stderr
    result = invoke("verify", "--database", "local.db")
    assert result.returncode == 0, result.stdout
    with closing(sqlite3.connect(tmp_path / "local.db")) as connection:
        assert connection.execute(query).fetchall() == wanted
    code, said = on_cluster("restore")
    assert (code, said.count("`invoke restore")) == (0, 2), said
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "database.db").write_bytes((kept / "database.db").read_bytes()[:20000])
    assert on_cluster("restore", str(damaged))[0] == 2
    assert cluster.same_rows(query) == wanted


TASKS_FOR_FILES = ("status", "vacuum", "checkpoint", "optimize", "forget", "show", "docs", "pragma")


def test_tasks_that_are_about_a_file(on_cluster: Told) -> None:
    for task in TASKS_FOR_FILES:
        code, said = on_cluster(task)
        assert (code, "`invoke backup`" in said or "`invoke core`" in said) == (2, True), said
        assert f"`invoke {task}`" in said or task == "pragma"
