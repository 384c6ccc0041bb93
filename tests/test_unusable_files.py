"""Files that are no databases, damaged ones, names that are taken: all are left as they were."""

import shlex
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundle import Bundle
from tests.support.commands import Invoke
from tests.support.fingerprints import files_below

NO_DATABASE = {
    "a text file": b"this is no database, but a letter to a friend\n" * 200,
    "a short text": b"hello",
    "random bytes": bytes(range(256)) * 64,
}


@pytest.mark.parametrize("case", NO_DATABASE)
def test_what_is_no_database_stays_as_it_is(case: str, empty: Bundle, capsys: Any) -> None:
    content = NO_DATABASE[case]
    empty.path.write_bytes(content)
    assert empty.run("verify") == 1
    assert "file is not a database" in capsys.readouterr().out
    assert empty.run("init") == 3
    error = capsys.readouterr().err
    assert "the file is not an SQLite database" in error
    assert empty.path.read_bytes() == content
    failure = empty.report()["failure"]
    assert empty.report()["execution_status"]["status"] == "FAILURE"
    assert (Path(failure["preserved_state"]) / "database.db").read_bytes() == content
    assert failure["not_preserved"] == []
    assert "note: database.db is a copy byte for byte" in error


def make_no_database(path: Path) -> None:
    path.write_bytes(NO_DATABASE["random bytes"])


def make_corrupt(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)  # where the first page of the schema begins
        file.write(bytes(20))


def make_newer(path: Path) -> None:
    """What a newer SQLite may have written: an index whose expression this one cannot parse."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE INDEX newer ON tasks (id)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE INDEX newer ON tasks (id ==> 1)'"
            " WHERE name = 'newer'"
        )


def make_locked(path: Path) -> sqlite3.Connection:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    return holder


CAUSES: dict[str, Callable[[Path], sqlite3.Connection | None]] = {
    "the file is not an SQLite database": make_no_database,
    "the database is corrupt": make_corrupt,
    "this SQLite cannot parse what the message names": make_newer,
    "another process holds the lock on the database": make_locked,
}


@pytest.mark.parametrize("task", ["status", "backup", "forget"])
@pytest.mark.parametrize("cause", CAUSES)
def test_what_is_wrong_with_the_file_is_told(
    cause: str, task: str, bundle: Bundle, invoke: Invoke
) -> None:
    holder = CAUSES[cause](bundle.path)
    try:
        result = invoke(task)
    finally:
        if holder:
            holder.close()
    assert result.returncode == (3 if task == "backup" else 2)
    assert cause in " ".join(result.stderr.split())


def test_again_is_with_all_that_was_asked(bundle: Bundle, invoke: Invoke) -> None:
    asked = ("backup", "my kept", "--no-check-copy", "--keep", "2")
    with closing(make_locked(bundle.path)):
        result = invoke(*asked)
    again = f"`invoke {shlex.join(asked)} --database {bundle.path}`"
    assert f"run {again} again" in " ".join(result.stderr.split())


def test_empty_file_is_a_fresh_database(empty: Bundle) -> None:
    empty.path.touch()
    assert empty.run("verify") == 1
    assert empty.run("init") == 0
    assert empty.report()["deliverables"]["files_created"] == []


def test_truncated_database_is_found(bundle: Bundle, capsys: Any) -> None:
    content = bundle.path.read_bytes()[:-8192]
    bundle.path.write_bytes(content)
    assert bundle.run("verify") == 1
    assert bundle.path.read_bytes() == content
    assert bundle.run("init") == 3
    assert bundle.path.read_bytes() == content


def damage(bundle: Bundle, name: str) -> None:
    """Overwrite the cells of the root page of a table or an index."""
    ((page,),) = bundle.rows(f"SELECT rootpage FROM sqlite_schema WHERE name = '{name}'")
    ((size,),) = bundle.rows("PRAGMA page_size")
    with bundle.path.open("r+b") as file:
        file.seek(page * size - 200)
        file.write(b"\xff" * 200)


def fill(bundle: Bundle) -> None:
    """Insert a few rows, so that the pages are not empty."""
    bundle.sql(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
        " INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
        " SELECT 'task-' || i, 'do', 'ready', '{}', '2026-01-01', '2026-01-01' FROM n"
    )


@pytest.mark.parametrize("name", ["tasks", "idx_tasks_status_priority", "idx_tasks_submitted_at"])
def test_damaged_page_is_found_and_named(bundle: Bundle, name: str, capsys: Any) -> None:
    fill(bundle)
    damage(bundle, name)
    content = bundle.path.read_bytes()
    assert bundle.run("verify") == 1
    found = bundle.failed()["integrity_check"]
    assert found[0].startswith("in table tasks or an index of it: ")
    assert f"is the first of {name})" in found[0] or f"index {name}" in found[0]
    assert bundle.path.read_bytes() == content


TAKEN = {
    "a view": ("CREATE VIEW audit AS SELECT 1 AS id", "core", "audit is taken by a view"),
    "a virtual table": (
        "CREATE VIRTUAL TABLE audit USING fts5(result)",
        "core",
        "audit is taken by a virtual table",
    ),
    "an index": (
        "CREATE TABLE mine (x); CREATE INDEX audit ON mine(x)",
        "core",
        "audit is taken by an index on mine",
    ),
    "an index of an application's table": (
        "CREATE TABLE mine (x); CREATE UNIQUE INDEX idx_agents_state ON mine(x)",
        "core-indexes",
        "idx_agents_state is taken by an index on mine",
    ),
    "a table for an index": (
        "CREATE TABLE idx_agents_state (x)",
        "core-indexes",
        "idx_agents_state is taken by a table",
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_name_that_is_taken(case: str, empty: Bundle, capsys: Any) -> None:
    script, step, message = TAKEN[case]
    empty.sql(script)
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2"
    before = empty.rows(schema)
    assert empty.run("init") == 3
    error = capsys.readouterr().err
    assert message in error
    assert "rename or drop them" in error
    report = empty.report()
    assert report["execution_status"]["status"] == "PARTIAL"
    assert report["failure"]["step"] == step
    assert set(before) <= set(empty.rows(schema))
    if step == "core":
        assert empty.rows(schema) == before
    statuses = [one["status"] for one in report["steps"]]
    assert statuses[statuses.index("failed") + 1 :].count("skipped") == 5 - statuses.index("failed")


def test_index_in_another_form_is_made_anew(bundle: Bundle) -> None:
    bundle.sql("DROP INDEX idx_agents_state; CREATE INDEX idx_agents_state ON agents(model)")
    assert bundle.run("init") == 0
    deliverables = bundle.report()["deliverables"]
    assert deliverables["indexes_dropped"] == deliverables["indexes_created"]
    assert deliverables["indexes_created"] == ["idx_agents_state"]


@pytest.mark.parametrize("task", ["init", "core", "verify"])
def test_name_in_the_schema_that_is_damaged(bundle: Bundle, task: str, capsys: Any) -> None:
    """SQLite quotes the name in its message, which Python then cannot decode."""
    content = bundle.path.read_bytes().replace(b"idx_tasks_session", b"idx_\xffasks_session", 1)
    bundle.path.write_bytes(content)
    assert bundle.run(task) == (1 if task == "verify" else 3)
    assert "the database is corrupt" in "".join(capsys.readouterr())
    assert bundle.path.read_bytes() == content
    if failure := bundle.report()["failure"]:
        assert (Path(failure["preserved_state"]) / "database.db").read_bytes() == content


def test_damaged_database_keeps_its_wal(tmp_path: Path) -> None:
    """Even through a link: an `init` that fails changes neither the file nor its -wal."""
    bundle = Bundle(tmp_path)
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "a.db"
    application = sqlite3.connect(tmp_path / "application.db", isolation_level=None)
    application.execute("PRAGMA journal_mode = WAL")
    application.execute("CREATE TABLE mine (x)")
    application.execute("PRAGMA wal_checkpoint")
    application.execute("INSERT INTO mine VALUES (1)")
    for suffix in ("", "-wal"):
        shutil.copy(f"{tmp_path / 'application.db'}{suffix}", f"{real}{suffix}")
    application.close()
    with real.open("r+b") as file:
        file.write(b"no header any more")
    bundle.path.symlink_to(real)
    before = files_below(real.parent)
    assert bundle.run("init") == 3
    assert before.items() <= files_below(real.parent).items()
    state = Path(bundle.report()["failure"]["preserved_state"])
    for suffix in ("", "-wal"):
        kept = (state / f"database.db{suffix}").read_bytes()
        assert kept == Path(f"{real}{suffix}").read_bytes()
