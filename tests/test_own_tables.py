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
    result = invoke("init", "--schema", "own")
    assert (result.returncode, result.stderr) == (0, "")
    assert run_on(path, case.query) == case.result
    ran = reports(tmp_path / "reports")[-1]["steps"]
    said = [one["sql"] for step in planned for one in step["statements"]]
    assert said == [one["sql"] for step in ran for one in step["statements"]]
    assert invoke("plan", "--schema", "own").returncode == 0
