"""Preserved state: all that is needed to see what happened, and to carry on."""

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.support.bundle import Bundle, valid
from tests.support.machine import need

FILES = {"database.db", "statements.sql", "escalation.md", "report.json"}


@pytest.fixture
def failed(empty: Bundle) -> Bundle:
    """A database on which `core-indexes` failed: one of its names is taken by a table."""
    empty.sql("CREATE TABLE idx_agents_state (mine); INSERT INTO idx_agents_state VALUES (42)")
    assert empty.run("init") == 3
    return empty


def state_of(bundle: Bundle) -> Path:
    return Path(bundle.report()["failure"]["preserved_state"])


def test_it_is_kept_beside_the_report_under_its_name(failed: Bundle) -> None:
    (report,) = failed.reports.glob("*.json")
    state = state_of(failed)
    assert state == report.with_suffix("")
    assert {path.name for path in state.iterdir()} == FILES
    assert failed.report()["failure"]["not_preserved"] == []
    created = failed.report()["deliverables"]["files_created"]
    assert {str(state / name) for name in FILES} <= set(created)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in state.iterdir())
    assert state.stat().st_mode & 0o777 == 0o700


def test_report_in_it_is_a_copy(failed: Bundle) -> None:
    (report,) = failed.reports.glob("*.json")
    assert (state_of(failed) / "report.json").read_bytes() == report.read_bytes()


def test_steps_before_stay_and_the_failed_one_is_undone(failed: Bundle) -> None:
    statuses = {step["name"]: step["status"] for step in failed.report()["steps"]}
    assert (statuses["core"], statuses["core-indexes"]) == ("changed", "failed")
    assert failed.rows(
        "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'idx!_%' ESCAPE '!'"
    ) == [(1,)]
    assert failed.rows("SELECT count(*) FROM tasks") == [(0,)]


def test_copy_of_the_database_is_complete(failed: Bundle) -> None:
    copy = sqlite3.connect(state_of(failed) / "database.db")
    assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert copy.execute("SELECT mine FROM idx_agents_state").fetchall() == [(42,)]
    dump = list(copy.iterdump())
    copy.close()
    live = sqlite3.connect(failed.path)
    assert list(live.iterdump()) == dump
    live.close()


def test_copy_has_what_is_only_in_the_wal(empty: Bundle) -> None:
    empty.sql("PRAGMA journal_mode = WAL; CREATE VIEW audit AS SELECT 1")
    application = sqlite3.connect(empty.path, isolation_level=None)
    application.execute("CREATE TABLE mine (x)")
    application.execute("INSERT INTO mine VALUES (7)")
    assert empty.path.with_name("abathur.db-wal").stat().st_size > 0
    assert empty.run("init") == 3
    copy = sqlite3.connect(state_of(empty) / "database.db")
    assert copy.execute("SELECT x FROM mine").fetchall() == [(7,)]
    copy.close()
    application.close()


def test_statements_can_be_run_again(failed: Bundle, tmp_path: Path) -> None:
    """On a new database they repeat what succeeded; what failed is marked."""
    need("sqlite3")
    statements = state_of(failed) / "statements.sql"
    text = statements.read_text("utf-8")
    assert "-- step core: changed" in text
    assert "-- step core-indexes: failed" in text
    again = tmp_path / "again.db"
    with statements.open() as script:
        subprocess.run(["sqlite3", "-bail", again], stdin=script, check=True, env={})
    connection = sqlite3.connect(again)
    tables = {name for (name,) in connection.execute("SELECT name FROM pragma_table_list")}
    connection.close()
    assert set(failed.report()["deliverables"]["tables_created"]) <= tables


def test_statement_that_failed_is_marked(empty: Bundle) -> None:
    """An index cannot be built because a page of its table is damaged."""
    assert empty.run("pragma") == 0
    assert empty.run("core") == 0
    empty.sql("INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES (1, 'm', 1)")
    connection = sqlite3.connect(empty.path, isolation_level=None)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'metrics'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with empty.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    assert empty.run("core-indexes") == 3
    failure = empty.report()["failure"]
    assert "idx_metrics_name_timestamp" in failure["statement"]
    assert failure["cause"] == "the database is corrupt"
    state = Path(failure["preserved_state"])
    text = (state / "statements.sql").read_text("utf-8")
    marked = text.partition("-- >>> THIS STATEMENT FAILED: database disk image is malformed\n")[2]
    assert failure["statement"] in marked
    assert marked.rstrip().endswith("ROLLBACK;")
    header = 100  # bytes, with counters that SQLite sets in a copy
    copy = (state / "database.db").read_bytes()
    assert copy[header:] == empty.path.read_bytes()[header:]


def test_escalation_tells_all_that_is_needed_to_take_over(failed: Bundle) -> None:
    text = (state_of(failed) / "escalation.md").read_text("utf-8")
    for heading in (
        "Current state",
        "Error",
        "Attempted solutions",
        "What to do",
        "Environment",
        "Success criteria",
    ):
        assert f"\n## {heading}\n" in text
    for line in (
        f"# core-indexes failed on {failed.path}",
        "| core | changed |",
        "| core-indexes | failed |",
        "Traceback (most recent call last)",
        "CannotReconcileError",
        f"- sqlite: {sqlite3.sqlite_version}",
        "- file_system: ",
        "- python: ",
        "- os: ",
    ):
        assert line in text


def test_exit_of_a_failed_run_and_what_it_says(failed: Bundle) -> None:
    report = valid(json.loads(next(failed.reports.glob("*.json")).read_text("utf-8")))
    assert report["execution_status"]["status"] == "PARTIAL"
    assert report["failure"]["step"] == "core-indexes"
    assert "CannotReconcileError" in report["failure"]["trace"]
    assert report["failure"]["attempts"] == 1
    assert report["quality_metrics"]["validation_results"] == "fail"
    assert "rename or drop" in report["orchestration_context"]["next_recommended_action"]
