"""`checks/` is complete, each check can fail, and a file is all it takes to add one."""

import json
import re
from pathlib import Path

import pytest

from abathur_schema.declared.check_files import KINDS, indexes_of
from abathur_schema.declared.declaration import declared
from abathur_schema.proof.trials import refusals_expected
from abathur_schema.schema.text import normal
from tests.support.bundle import Bundle, valid
from tests.support.commands import Invoke

SCHEMA = declared().schema
INDEXES = sorted(index.name for index in SCHEMA.indexes.values() if index.origin == "c")


def rejected() -> set[tuple[str, str]]:
    return {
        (kind, normal(what))
        for file in declared().checks["rejects"]
        for kind, what in refusals_expected(file)
    }


def constraints() -> set[tuple[str, str]]:
    """Every declared constraint that can refuse a row, worded as SQLite does."""
    found = set()
    for name, table in SCHEMA.tables.items():
        # SQLite fills in an INTEGER PRIMARY KEY, and allows NULL in any other key without NOT NULL.
        for column in table.columns:
            if column.notnull and not column.default:
                found.add(("NOT NULL", f"{name}.{column.name}"))
        found |= {("CHECK", expression) for expression in table.checks}
        for columns in {table.primary_key, *SCHEMA.uniques_of(name)}:
            found.add(("UNIQUE", ", ".join(f"{name}.{column}" for column in columns)))
        for key in table.foreign_keys:
            found.add(("FOREIGN KEY", ", ".join(f"{name}.{column}" for column in key.columns)))
    return {(kind, normal(what)) for kind, what in found}


def test_every_constraint_has_a_row_that_it_refuses() -> None:
    assert constraints() - rejected() == set()


def test_every_table_has_a_row_that_it_takes() -> None:
    taken = " ".join(text for file in declared().checks["accepts"] for text in file.statements)
    assert set(re.findall(r"INSERT INTO (\w+)", taken)) == set(SCHEMA.tables)


def test_every_query_names_a_declared_index_and_every_index_a_query() -> None:
    checks = declared().checks
    named = {name for file in checks["plans"] for name in indexes_of(file)}
    kept_by_sqlite = {name for name in named if name == "rowid" or "autoindex" in name}
    assert named - kept_by_sqlite == set(INDEXES)
    assert len(kept_by_sqlite) == 5


def test_every_check_has_a_name_of_its_own() -> None:
    names = [file.name for kind in KINDS for file in declared().checks[kind]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("index", INDEXES)
def test_query_is_found_to_miss_its_index(bundle: Bundle, index: str) -> None:
    bundle.sql(f"DROP INDEX {index}")
    assert bundle.run("verify") == 1
    failed = bundle.failed()
    for file in declared().checks["plans"]:
        if index in indexes_of(file):
            assert failed[file.name], file.path


SLOPPY = {
    "a prefix": "namespace >= :namespace AND namespace < :namespace || char(0x10FFFF)",
    "LIKE": "namespace LIKE :namespace || '%'",
    "LIKE with a separator": "namespace = :namespace OR namespace LIKE :namespace || ':%'",
    "GLOB": "namespace = :namespace OR namespace GLOB :namespace || ':*'",
    "itself left out": "namespace >= :namespace || ':' AND namespace < :namespace || ';'",
    "any letter case": "lower(namespace) = :namespace OR lower(namespace) LIKE :namespace || ':%'",
}


@pytest.mark.parametrize("case", SLOPPY)
def test_sloppy_subtree_query_is_found(case: str, checkout: Path, invoke_in: Invoke) -> None:
    path = checkout / "checks" / "plans" / "memories-below-a-namespace.sql"
    text = path.read_text("utf-8")
    start, end = text.index("(namespace ="), text.index("   AND is_deleted")
    path.write_text(f"{text[:start]}({SLOPPY[case]})\n{text[end:]}", "utf-8")
    result = invoke_in("init")
    assert result.returncode == 1
    failed = result.stdout.partition("fail: exactly the subtree: Everything below a namespace")
    assert failed[1]
    assert failed[2].splitlines()[1].strip().startswith("below '")


NEW_FILES = {
    "holds": ("SELECT id FROM sessions WHERE user_id = '';", ""),
    "plans": (
        "-- index: idx_sessions_project\nSELECT id FROM sessions WHERE project_id = :id;",
        "",
    ),
    "writes": (
        "-- index: sqlite_autoindex_sessions_1\nDELETE FROM sessions WHERE id = :id;",
        "",
    ),
    "rejects": (
        "-- NOT NULL constraint failed: sessions.app_name\n"
        "INSERT INTO sessions (id, user_id) VALUES ('s', 'a');",
        "",
    ),
    "accepts": ("INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'a', 'a');", ""),
    "holds, and fails": ("SELECT 'a row that is wrong';", "a row that is wrong"),
    "holds, and returns an empty text": ("SELECT '';", "''"),
    "holds, and returns blanks": ("SELECT '  ' || char(10);", "'  \\n'"),
    "holds, and returns NULL": ("SELECT NULL;", "None"),
    "holds, and returns an empty BLOB": ("SELECT x'';", "b''"),
    "holds, and writes": ("DELETE FROM sessions;", "attempt to write a readonly database"),
    "plans, and fails": ("-- index: idx_sessions_project\nSELECT id FROM sessions;", "scans: SCAN"),
    "plans, and sorts": (
        "-- index: idx_tasks_parent\n"
        "SELECT id FROM tasks WHERE parent_task_id = 1 ORDER BY prompt;",
        "sorts, though the index should give the order",
    ),
    "plans, that must sort and says why": (
        "-- index: idx_tasks_parent\n-- sorts: no index is worth its cost for this\n"
        "SELECT id FROM tasks WHERE parent_task_id = 1 ORDER BY prompt;",
        "",
    ),
    "plans, by another index": (
        "-- index: idx_tasks_parent\nSELECT id FROM tasks WHERE status = 1;",
        "does not use idx_tasks_parent alone",
    ),
    "writes, and scans": ("DELETE FROM sessions WHERE state = :state;", "scans: SCAN sessions"),
    "writes, and searches for the rows by a scan": (
        "-- index: sqlite_autoindex_sessions_1\n"
        "DELETE FROM sessions WHERE id = (SELECT id FROM sessions WHERE state = :state);",
        "scans: SCAN sessions",
    ),
    "rejects, by another constraint": (
        "-- NOT NULL constraint failed: sessions.user_id\n"
        "INSERT INTO sessions (id, user_id) VALUES ('s', 'a');",
        "refused by another constraint",
    ),
    "rejects, and fails": (
        "-- CHECK constraint failed: user_id <> ''\n"
        "INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'a', '');",
        "accepted, though it must be refused",
    ),
    "accepts, and returns an empty text": ("SELECT '';", "''"),
    "accepts, and fails": ("INSERT INTO sessions (id) VALUES ('s');", "refused: NOT NULL"),
}


@pytest.mark.parametrize("case", NEW_FILES)
def test_new_file_is_a_new_check(
    case: str, checkout: Path, invoke_in: Invoke, tmp_path: Path
) -> None:
    sql, finding = NEW_FILES[case]
    kind = case.partition(",")[0]
    (checkout / "checks" / kind / "of-a-user.sql").write_text(f"-- A check of my own\n{sql}\n")
    result = invoke_in("init", "--json")
    assert result.returncode == (1 if finding else 0)
    (found,) = (
        check
        for check in valid(json.loads(result.stdout))["checks"]
        if check["name"] == "A check of my own"
    )
    assert found["status"] == ("fail" if finding else "pass")
    assert finding in "".join(found["findings"])


WRONG_FILES = {
    "checks/holds/a.sql": ("SELECT 1;", "needs a comment line with its name"),
    "checks/plans/a.sql": ("-- A name\nSELECT 1;", "-- index: NAME"),
    "checks/accepts/a.sql": ("-- A name\nSELECT 1", "no semicolon ends the statement"),
    "checks/rejects/a.sql": ("\n", "needs a comment line with its name"),
    "sql/core.sql": ("CREATE TABLE t (a TEXT", "no semicolon ends the statement"),
    "sql/memory.sql": ("CREATE TABLE t (a TEXT,);", "sql/memory.sql: near"),
    "sql/core-indexes.sql": ("INSERT INTO tasks VALUES (1);", "sql/core-indexes.sql: "),
    "sql/memory-indexes.sql": ("SELECT 1;", "only CREATE statements go here"),
    "sql/pragma.sql": ("PRAGMA foreign_keys(1);", "not of the form PRAGMA name = value"),
}


@pytest.mark.parametrize("file", WRONG_FILES)
def test_wrong_file_of_the_bundle_is_named_before_anything_is_touched(
    file: str, checkout: Path, invoke_in: Invoke, tmp_path: Path
) -> None:
    sql, message = WRONG_FILES[file]
    (checkout / file).write_text(sql)
    result = invoke_in("init")
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert Path(file).name in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_redundant_index_in_sql_is_found(checkout: Path, invoke_in: Invoke) -> None:
    with (checkout / "sql" / "core-indexes.sql").open("a") as file:
        file.write("\nCREATE INDEX idx_tasks_status ON tasks(status);\n")
    result = invoke_in("init")
    assert result.returncode == 1
    assert (
        "fail: no declared index is redundant\n    index idx_tasks_status is not" in result.stdout
    )


def test_table_and_index_are_added_by_sql_alone(checkout: Path, invoke_in: Invoke) -> None:
    with (checkout / "sql" / "memory.sql").open("a") as file:
        file.write(
            "\n-- What a user thinks of a session.\nCREATE TABLE ratings (\n"
            "    session_id TEXT REFERENCES sessions(id),\n    stars INTEGER NOT NULL\n);\n"
        )
    with (checkout / "sql" / "memory-indexes.sql").open("a") as file:
        file.write("\nCREATE INDEX idx_ratings_session ON ratings(session_id);\n")
    first = invoke_in("init")
    assert first.returncode == 1
    assert "no query in checks/plans/ names idx_ratings_session" in first.stdout
    (checkout / "checks" / "plans" / "ratings.sql").write_text(
        "-- The ratings of a session\n-- index: idx_ratings_session\n"
        "SELECT stars FROM ratings WHERE session_id = :session_id;\n"
    )
    assert invoke_in("init").returncode == 0
