"""Tables in another form are changed or rebuilt, and keep all that the application added."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import older
from tests.support.another_form import TASKS, create, remake
from tests.support.bundle import Bundle
from tests.support.commands import Invoke
from tests.support.fingerprints import digests
from tests.support.upgrading import planned

# By case: the table, the text to replace, its replacement, and the values of a row.
DRIFTED = {
    "CHECK": ("metrics", " CHECK (metric_value >= 0)", "", "1, '2026', 'x', 0.5, NULL"),
    "UNIQUE": ("state", ",\n    UNIQUE (task_id, key)", "", "1, 'a', 'k', '1', 'c', 'u'"),
    "foreign key": (
        "checkpoints",
        " REFERENCES tasks(id) ON DELETE CASCADE",
        "",
        "'a', 1, '{}', 'c', NULL",
    ),
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
    "COLLATE of a PRIMARY KEY": (
        "checkpoints",
        "(task_id, iteration)",
        "(task_id COLLATE NOCASE, iteration)",
        "'a', 1, '{}', 'c', NULL",
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

BY_TEXT = {
    *("CHECK", "foreign key", "ON DELETE", "ON DELETE CASCADE", "NOT NULL", "type", "default"),
    "ON CONFLICT",
}
"""What needs no rebuild."""


@pytest.mark.parametrize("case", DRIFTED)
def test_table_in_another_form_is_changed(case: str, bundle: Bundle, invoke: Invoke) -> None:
    table, old, new, values = DRIFTED[case]
    bundle.sql(
        f"INSERT INTO tasks VALUES ({TASKS}, NULL, NULL, NULL, NULL)" if table != "tasks" else ""
    )
    remake(bundle, table, lambda sql: sql.replace(old, new), values)
    before = bundle.rows(f"SELECT * FROM {table}")
    is_same = case == "letter case"
    assert bundle.run("verify") == (0 if is_same else 1)
    assert bundle.run("init") == 0
    made = bundle.report()["deliverables"]
    is_by_text = case in BY_TEXT
    assert made["tables_rebuilt"] == ([] if is_same or is_by_text else [table])
    assert made["tables_changed"] == ([table] if is_by_text else [])
    assert bool(bundle.report()["copy_before"]) == bool(made["tables_rebuilt"])
    assert bundle.rows(f"SELECT * FROM {table}") == before
    assert planned(bundle.path, invoke) == []


def test_key_whose_collation_no_foreign_key_matches_is_made_as_declared(bundle: Bundle) -> None:
    by_column = create("tasks", ("TEXT PRIMARY KEY", "TEXT"))
    other = by_column.replace("\n);", ", PRIMARY KEY (id COLLATE NOCASE));")
    bundle.sql(f"PRAGMA legacy_alter_table = ON; DROP TABLE tasks; {other}")
    bundle.sql(f"INSERT INTO tasks VALUES ({TASKS}, NULL, NULL, NULL, NULL)")
    assert bundle.run("verify") == 1
    finding = "table tasks: PRIMARY KEY is (id COLLATE NOCASE); declared is (id)"
    assert [finding] in bundle.failed().values()
    assert bundle.run("init") == 0
    assert bundle.report()["deliverables"]["tables_rebuilt"] == ["tasks"]


@pytest.mark.parametrize(("type_", "way"), [("INTEGER", "changed"), ("TEXT", "rebuilt")])
def test_change_keeps_what_the_application_added(type_: str, way: str, bundle: Bundle) -> None:
    """Constraints, too: of a column or the table, with a name or without."""
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
            "iteration  INTEGER NOT NULL,", f"iteration {type_} CHECK (iteration > 0),"
        ),
    )
    bundle.sql(
        "INSERT INTO users VALUES ('u');"
        "INSERT INTO checkpoints (task_id, iteration, state, created_at) VALUES ('a', 1, 'u', 'c')"
    )
    assert bundle.run("init") == 0
    assert bundle.report()["deliverables"][f"tables_{way}"] == ["checkpoints"]
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
    "nothing but an old form": (
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY, metric_name TEXT, metric_value REAL,"
        " timestamp TEXT CHECK (length(timestamp)))",
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
    assert f"a copy of the previous state: {folder}" in capsys.readouterr().out
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
    """Here because of a limit on the size of files that the process may write."""
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
    from abathur_schema.declared.declaration import declared
    from abathur_schema.record.chain import run_in
    from abathur_schema.record.run import Run
    from abathur_schema.steps.target import Target

    older.make(empty.path, 1)
    target, run = Target(empty.path, declared()), Run("init", empty.path, declared())
    for step in ("pragma", "core"):
        list(run_in(run, target, step, None))
    assert not run.failed
    assert target.connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert target.connection.execute("PRAGMA legacy_alter_table").fetchone() == (0,)
    target.close()


def test_a_file_that_takes_the_place_of_the_one_that_was_looked_at_is_read_itself(
    empty: Bundle,
) -> None:
    from abathur_schema.declared.declaration import declared
    from abathur_schema.record.chain import run_in
    from abathur_schema.record.run import Run
    from abathur_schema.steps.preflight import check_database
    from abathur_schema.steps.target import Target

    other = empty.path.with_name("other.db")
    older.make(empty.path, 3)
    older.make(other, 1)
    for path in (empty.path, other):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA schema_version = 99")
    seen = check_database("init", empty.path, declared())
    other.replace(empty.path)
    target, run = Target(empty.path, declared(), seen=seen), Run("init", empty.path, declared())
    with closing(target):
        for step in ("pragma", "core"):
            list(run_in(run, target, step, None))
    assert [step.error for step in run.steps] == [None, None]
