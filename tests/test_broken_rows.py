"""Rows that break the declared form stop the step, and are named."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from abathur_schema.commands.show_plan import look
from abathur_schema.declared.declaration import declared
from tests.support.another_form import TASKS, create, remake
from tests.support.bundle import Bundle
from tests.support.commands import Invoke
from tests.support.fingerprints import digests

BROKEN = {
    "NULL": (
        "metrics",
        ("metric_name  TEXT NOT NULL", "metric_name TEXT"),
        "(1, 't', 'x', 1, 1), (7, 't', NULL, 1, 1), (8, 't', NULL, 1, 1)",
        "metrics.metric_name may not be NULL: 2 rows violate this; the first is rowid 7",
    ),
    "CHECK": (
        "metrics",
        (" CHECK (metric_value >= 0)", ""),
        "(1, 't', 'x', 1, 1), (2, 't', 'x', -1, 1)",
        "metrics must satisfy CHECK (metric_value >= 0): 1 row violates this; the first is rowid 2",
    ),
    "UNIQUE": (
        "state",
        (",\n    UNIQUE (task_id, key)", ""),
        "(1, 'a', 'k', '1', 'c', 'u'), (2, 'a', 'k', '2', 'c', 'u'), (3, 'a', 'k', '3', 'c', 'u')",
        "state must be unique in (task_id, key): 2 rows violate this; the first is rowid 2",
    ),
    "PRIMARY KEY": (
        "agents",
        (" PRIMARY KEY", ""),
        "('b', 'n', 's', 'a', 'i', 'm', 't', 1, 1, NULL),"
        " ('b', 'o', 's', 'a', 'i', 'm', 't', 1, 1, NULL)",
        "agents must be unique in (id): 1 row violates this; the first is rowid 2",
    ),
    "foreign key": (
        "checkpoints",
        (" REFERENCES tasks(id) ON DELETE CASCADE", ""),
        "('a', 1, '{}', 'c', NULL), ('gone', 2, '{}', 'c', NULL)",
        "checkpoints must have parents for (task_id) -> tasks(id): 1 row violates this;"
        " the first is rowid 2, task_id 'gone', iteration 2",
    ),
    "a value that the type would change": (
        "agents",
        ("name           TEXT", "name INTEGER"),
        "('b', 9007199254740993, 's', 'a', 'i', 'm', 't', 1, 1, NULL),"
        " ('c', 1e300, 's', 'a', 'i', 'm', 't', 1, 1, NULL)",
        "",
    ),
    "a value that is lost": (
        "metrics",
        ("metric_value REAL NOT NULL", "metric_value TEXT NOT NULL"),
        "(1, 't', 'x', '1.5', 1), (2, 't', 'x', '01.50', 1)",
        "metrics.metric_value must keep its value as REAL: 1 row violates this;"
        " the first is rowid 2",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_rows_that_break_what_is_declared_stop_the_step(
    case: str, bundle: Bundle, capsys: Any, invoke: Invoke
) -> None:
    table, (old, new), rows, message = BROKEN[case]
    bundle.sql(f"INSERT INTO tasks VALUES ({TASKS}, NULL, NULL, NULL, NULL)")
    remake(bundle, table, lambda sql: sql.replace(old, new))
    bundle.sql(f"INSERT INTO {table} VALUES {rows}")
    schema = bundle.rows("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid")
    before = digests(bundle.path)
    planned = invoke("plan")
    if not message:
        assert bundle.run("init") == 0
        return
    assert planned.returncode == 1
    if "keep its value" not in message:  # only copying the rows can tell
        assert f"core would fail: {message}" in planned.stderr
    capsys.readouterr()
    assert bundle.run("init") == 3
    error = capsys.readouterr().err
    assert message in error
    assert "correct the rows that the message names" in error
    assert bundle.rows("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid") == schema
    assert digests(bundle.path) == before
    assert bundle.report()["failure"]["step"] == "core"


def test_parents_of_another_spelling_are_looked_for_by_an_index(bundle: Bundle) -> None:
    """Row by row it would take hours for tables that a minute can rebuild."""
    other = create("tasks", ("TEXT PRIMARY KEY", "TEXT PRIMARY KEY COLLATE NOCASE"))
    bundle.sql(f"PRAGMA legacy_alter_table = ON; DROP TABLE tasks; {other}")
    statements = [one for step in look(bundle.path, declared()).steps for one in step.statements]
    guards = [
        guard for one in statements for guard in one.guards if "spelled exactly" in guard.says
    ]
    assert len(guards) >= 2
    with closing(sqlite3.connect(bundle.path)) as connection:
        for guard in guards:
            plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT count(*) {guard.rows}").fetchall()
            assert [row[-1] for row in plan if row[-1].startswith("SCAN p")] == []
