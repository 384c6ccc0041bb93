"""The queries of `checks/plans/` by name."""

import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import pytest

from abathur_schema import Database, query
from abathur_schema.application.queries import queries
from abathur_schema.declared.check_files import CheckFile
from abathur_schema.declared.declaration import declared
from abathur_schema.errors import UsageError
from abathur_schema.proof.trials import plan_faults
from abathur_schema.schema.text import parameters
from abathur_schema.storage.connection import connect
from tests.support.bundle import Bundle

FILES = declared().checks["plans"]
TASKS = """
INSERT INTO tasks (id, priority, submitted_at, status, prompt, input_data, last_updated_at)
VALUES ('late', 5, '2026-01-02', 'ready', 'do', '{}', ''),
       ('early', 5, '2026-01-01', 'ready', 'do', '{}', ''),
       ('urgent', 9, '2026-01-03', 'ready', 'do', '{}', ''),
       ('done', 9, '2026-01-04', 'completed', 'do', '{}', '');
"""


class Recording(sqlite3.Connection):
    """Remembers the calls it gets."""

    asked: ClassVar[list[str]] = []

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        self.asked.append(sql)
        return super().execute(sql, *values)


@pytest.mark.parametrize("file", FILES, ids=[file.path.stem for file in FILES])
def test_query_that_is_proven_is_the_query_that_runs(bundle: Bundle, file: CheckFile) -> None:
    connection = connect(bundle.path, "ro", declared().settings, Recording)
    Recording.asked.clear()
    list(plan_faults(connection, file))
    named = query(file.path.stem)
    named.execute(connection, **dict.fromkeys(named.parameters, 1)).fetchall()
    proven, ran = Recording.asked
    assert proven == f"EXPLAIN QUERY PLAN {ran}"
    assert named.title == file.name
    connection.close()


def test_every_file_is_a_query() -> None:
    assert list(queries()) == [file.path.stem for file in declared().all_checks["plans"]]


async def test_sync_and_async_return_the_same(bundle: Bundle) -> None:
    bundle.sql(TASKS)
    connection = connect(bundle.path, "ro", declared().settings)
    rows = query("next-task").execute(connection, status="ready", limit=2).fetchall()
    connection.close()
    assert [row[0] for row in rows] == ["urgent", "early"]
    async with Database(bundle.path) as db:
        found = await db.fetch("next-task", status="ready", limit=2)
        assert [tuple(row) for row in found] == rows
        assert [row["id"] for row in found] == ["urgent", "early"]
        async with db.connection() as conn:
            cursor = await query("next-task").execute(conn, status="ready", limit=1)
            row = await cursor.fetchone()
            assert row
            assert row["id"] == "urgent"


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("next-task", {}, "takes limit, status; given: nothing"),
        ("next-task", {"status": "ready", "limt": 1}, "given: limt, status"),
        (
            "agents-of-a-task",
            {"task_id": "t", "limit": 1},
            "takes task_id; given: limit, task_id",
        ),
        ("next_task", {}, "there is no query next_task. There are: agents-in-a-state, "),
    ],
)
async def test_wrong_name_or_parameters(name: str, values: dict[str, object], message: str) -> None:
    async with Database(":memory:") as db:
        with pytest.raises(UsageError, match=message):
            await db.fetch(name, **values)


async def test_parameters_may_have_any_name(tmp_path: Path) -> None:
    file = tmp_path / "own" / "checks" / "plans" / "mine.sql"
    file.parent.mkdir(parents=True)
    file.write_text("-- Mine\n-- index: none\nSELECT :name, :self, :connection;")
    values = {"name": 1, "self": 2, "connection": 3}
    async with Database(tmp_path / "swarm.db", schema=tmp_path / "own") as db:
        assert [tuple(row) for row in await db.fetch("mine", **values)] == [(1, 2, 3)]
        named = db._queries["mine"]
        async with db.connection() as conn:
            assert await (await named.execute(conn, **values)).fetchone()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :a, :B_2 || ':' || ':no' -- :no", {"a", "B_2"}),
        ("SELECT 1 /* :no */", set()),
        ('SELECT ":no" FROM t WHERE x=:x', {"x"}),
    ],
)
def test_parameters_of_a_statement(sql: str, expected: set[str]) -> None:
    assert parameters(sql) == expected
