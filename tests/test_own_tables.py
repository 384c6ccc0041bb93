"""Tables of a schema of one's own are brought to their declared form as ours are."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.bundle import reports
from tests.support.commands import Invoke


class Case(NamedTuple):
    """What is there, what is declared, and what a query returns afterwards."""

    there: str
    declared: str
    query: str
    result: list[tuple[Any, ...]]


BECOMES = {
    "an INTEGER PRIMARY KEY that is not the rowid": Case(
        "CREATE TABLE app (id INTEGER PRIMARY KEY DESC); INSERT INTO app (rowid, id) VALUES (5, 7)",
        "CREATE TABLE app (id INTEGER PRIMARY KEY);",
        "SELECT id, rowid FROM app",
        [(7, 7)],
    ),
    "an INTEGER PRIMARY KEY that is the rowid": Case(
        "CREATE TABLE app (id INTEGER PRIMARY KEY); INSERT INTO app VALUES (7)",
        "CREATE TABLE app (id INTEGER PRIMARY KEY DESC);",
        "SELECT id FROM app WHERE EXISTS (SELECT 1 FROM pragma_index_list('app'))",
        [(7,)],
    ),
    "another expression": Case(
        "CREATE TABLE app (b INT, c INT AS (b + 1) STORED); INSERT INTO app VALUES (1)",
        "CREATE TABLE app (b INT, c INT AS (b + 2) STORED);",
        "SELECT b, c FROM app",
        [(1, 3)],
    ),
    "a generated column that is stored": Case(
        "CREATE TABLE app (b INT, c INT AS (b)); INSERT INTO app VALUES (1)",
        "CREATE TABLE app (b INT, c INT GENERATED ALWAYS AS (b) STORED);",
        "SELECT hidden FROM pragma_table_xinfo('app') WHERE name = 'c'",
        [(3,)],
    ),
    "a generated column of another type": Case(
        "CREATE TABLE app (b TEXT, c TEXT AS (b) STORED NOT NULL); INSERT INTO app VALUES ('01')",
        "CREATE TABLE app (b TEXT, c INT AS (b) STORED NOT NULL);",
        "SELECT c FROM app",
        [(1,)],
    ),
    "a generated column that becomes a value of its own": Case(
        "CREATE TABLE app (b INT, c INT AS (b + 1)); INSERT INTO app VALUES (1)",
        "CREATE TABLE app (b INT, c INT);",
        "SELECT b, c FROM app",
        [(1, 2)],
    ),
    "WITHOUT ROWID": Case(
        "CREATE TABLE app (id TEXT PRIMARY KEY, b); INSERT INTO app VALUES ('x', 1), ('y', '2')",
        "CREATE TABLE app (id TEXT PRIMARY KEY, b) WITHOUT ROWID;",
        "SELECT id, b FROM app",
        [("x", 1), ("y", "2")],
    ),
    "WITHOUT ROWID, by another key and with another type": Case(
        "CREATE TABLE app (id INTEGER PRIMARY KEY, b, k); INSERT INTO app VALUES (7, '1', 5)",
        "CREATE TABLE app (id INTEGER, b TEXT, k INT, PRIMARY KEY (k, b)) WITHOUT ROWID;",
        "SELECT id, b, k FROM app",
        [(7, "1", 5)],
    ),
    "a foreign key that leaves out its parent's key": Case(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1);"
        " CREATE TABLE app (id INTEGER PRIMARY KEY, p INT); INSERT INTO app VALUES (5, 1)",
        "CREATE TABLE app (id INTEGER PRIMARY KEY, p INT REFERENCES parent);\n"
        "CREATE TABLE parent (id INTEGER PRIMARY KEY);",
        "SELECT app.id, p, \"from\" FROM app, pragma_foreign_key_list('app')",
        [(5, 1, "p")],
    ),
    "a foreign key that leaves out the key of a parent that is missing": Case(
        "CREATE TABLE app (id INTEGER PRIMARY KEY, p INT); INSERT INTO app VALUES (5, NULL)",
        "CREATE TABLE app (id INTEGER PRIMARY KEY, p INT REFERENCES parent);\n"
        "CREATE TABLE parent (id INTEGER PRIMARY KEY);",
        "SELECT app.id, p, \"from\" FROM app, pragma_foreign_key_list('app')",
        [(5, None, "p")],
    ),
    "a column that has both a parent and a default": Case(
        "CREATE TABLE parent (id TEXT PRIMARY KEY); INSERT INTO parent VALUES ('x');"
        " CREATE TABLE app (id INTEGER PRIMARY KEY); INSERT INTO app VALUES (5)",
        "CREATE TABLE parent (id TEXT PRIMARY KEY);\n"
        "CREATE TABLE app (id INTEGER PRIMARY KEY, p TEXT DEFAULT 'x' REFERENCES parent(id));",
        "SELECT id, p FROM app",
        [(5, "x")],
    ),
    "a column whose DEFAULT satisfies its CHECK only by its type": Case(
        "CREATE TABLE app (a INT); INSERT INTO app VALUES (1)",
        "CREATE TABLE app (a INT, b INT DEFAULT '5' CHECK (b < 7),"
        " c TEXT DEFAULT 5 CHECK (c = '5'), e INT DEFAULT 'y' CHECK (e = 'y'),"
        " d TEXT CONSTRAINT at_first DEFAULT 'x' CHECK (d = 'x'));",
        "SELECT b, c, d, e FROM app",
        [(5, "5", "x", "y")],
    ),
    "generated columns that are missing": Case(
        "CREATE TABLE app (a INT, b INT); INSERT INTO app VALUES (1, 1)",
        "CREATE TABLE app (a INT, b INT, c INT AS (d + 1) STORED, d INT AS (b + 1));",
        "SELECT b, c, d FROM app",
        [(1, 3, 2)],
    ),
}


def declare(folder: Path, sql: str) -> None:
    (folder / "own" / "sql").mkdir(parents=True)
    (folder / "own" / "sql" / "core.sql").write_text(sql)


def run_on(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        *before, last = sql.split("; ")
        for one in before:
            connection.execute(one)
        return connection.execute(last).fetchall()


@pytest.mark.parametrize("case", BECOMES.values(), ids=BECOMES)
def test_table_is_brought_to_its_declared_form(case: Case, invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "abathur.db"
    assert invoke("init").returncode == 0
    run_on(path, case.there)
    declare(tmp_path, case.declared)
    assert invoke("verify", "--schema", "own").returncode == 1
    planned = json.loads(invoke("plan", "--schema", "own", "--json").stdout)["steps"]
    result = invoke("core", "--schema", "own")
    assert (result.returncode, result.stderr) == (0, "")
    assert run_on(path, case.query) == case.result
    ran = reports(tmp_path / "reports")[-1]["steps"]
    said = [one["sql"] for step in planned for one in step["statements"]]
    assert said == [one["sql"] for step in ran for one in step["statements"]]
    assert invoke("plan", "--schema", "own").returncode == 0


@pytest.mark.parametrize(
    "same", ["c INT GENERATED ALWAYS AS ((b+1)) VIRTUAL", '"C" INT AS ("B" /* ! */ + 1)']
)
def test_generated_column_in_another_spelling_is_the_same(
    same: str, invoke: Invoke, tmp_path: Path
) -> None:
    assert invoke("init").returncode == 0
    run_on(tmp_path / "abathur.db", f"CREATE TABLE app (b INT, {same})")
    declare(tmp_path, "CREATE TABLE app (b INT, c INT AS (b + 1));")
    assert invoke("plan", "--schema", "own").returncode == 0


STOPS = {
    "values that would be computed": (
        "CREATE TABLE app (b INT, c INT); INSERT INTO app VALUES (1, 1)",
        "CREATE TABLE app (b INT, c INT AS (b + 1));",
        "table app: column c is not generated; declared is AS (b + 1) VIRTUAL; and it cannot be"
        " changed: what was written to column c (drop or rename it first) would be lost",
    ),
    "no key WITHOUT ROWID": (
        "CREATE TABLE app (id TEXT PRIMARY KEY, b); INSERT INTO app VALUES ('x', 1), (NULL, 2)",
        "CREATE TABLE app (id TEXT PRIMARY KEY, b) WITHOUT ROWID;",
        "app.id may not be NULL: 1 row violates this; the first is rowid 2, id NULL",
    ),
    "a CHECK that comes with its column": (
        "CREATE TABLE app (id INTEGER PRIMARY KEY, b TEXT);"
        " INSERT INTO app VALUES (1, 'x'), (2, 'human'), (3, 'human')",
        "CREATE TABLE app (id INTEGER PRIMARY KEY, b TEXT,"
        " c TEXT NOT NULL DEFAULT 'human' CHECK (c <> b), d);",
        "app must satisfy CHECK (c <> b): 2 rows violate this; the first is rowid 2",
    ),
    "a CHECK on a generated column": (
        "CREATE TABLE app (id INTEGER PRIMARY KEY, a); INSERT INTO app VALUES (1, '7'), (2, 0)",
        "CREATE TABLE app (id INTEGER PRIMARY KEY, a, b INT AS (c + 1) STORED,"
        " c INT AS (a || ''), CHECK (b > 1));",
        "app must satisfy CHECK (b > 1): 1 row violates this; the first is rowid 2",
    ),
    "a parent that a DEFAULT names and that is missing": (
        "CREATE TABLE app (id INTEGER PRIMARY KEY); INSERT INTO app VALUES (5)",
        "CREATE TABLE parent (id TEXT PRIMARY KEY);\n"
        "CREATE TABLE app (id INTEGER PRIMARY KEY, p TEXT DEFAULT 'x' REFERENCES parent(id));",
        "app must have parents for (p) -> parent(id): 1 row violates this; the first is rowid 5",
    ),
}


@pytest.mark.parametrize(("there", "declared", "told"), STOPS.values(), ids=STOPS)
def test_what_stops_the_step_is_told_by_plan_too(
    there: str, declared: str, told: str, invoke: Invoke, tmp_path: Path
) -> None:
    assert invoke("init").returncode == 0
    run_on(tmp_path / "abathur.db", there)
    declare(tmp_path, declared)
    planned, ran = (invoke(task, "--schema", "own") for task in ("plan", "init"))
    assert (planned.returncode, ran.returncode) == (1, 3)
    assert told in planned.stderr + planned.stdout
    assert told in ran.stderr
