"""The async `Database` explains a query, and refuses anything else."""

import sqlite3

import pytest

from abathur_schema import AbathurError, Database
from abathur_schema.errors import NoQueryError
from tests.support.inserts import TASK, count


@pytest.mark.parametrize(
    ("query", "parameters", "expected"),
    [
        (
            "SELECT id FROM tasks WHERE parent_task_id = ?",
            ("t1",),
            ["SEARCH tasks USING INDEX idx_tasks_parent (parent_task_id=?)"],
        ),
        (
            "SELECT id FROM tasks WHERE parent_task_id = :id;",
            {"id": "t1"},
            ["SEARCH tasks USING INDEX idx_tasks_parent (parent_task_id=?)"],
        ),
        ("-- of all\n/* ; */ SELECT prompt FROM tasks ; -- end", (), ["SCAN tasks"]),
        ("VALUES (1), (2)", (), ["SCAN 2 CONSTANT ROWS"]),
        (
            "WITH a(x) AS (SELECT id FROM tasks), b AS (VALUES (1)) SELECT prompt FROM tasks",
            (),
            ["SCAN tasks"],
        ),
        ("select ';' from tasks where id = 'x'", (), None),
    ],
)
async def test_explain_query_plan(
    db: Database, query: str, parameters: tuple[str] | dict[str, str], expected: list[str] | None
) -> None:
    plan = await db.explain_query_plan(query, parameters)
    assert expected is None or plan == expected
    assert plan


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "-- nothing",
        "/* SELECT 1",
        "SELECT 1; DELETE FROM tasks",
        "SELECT 1; SELECT 2",
        "DELETE FROM tasks",
        "DELETE FROM tasks RETURNING id",
        "INSERT INTO metrics SELECT 1, 1, 'm', 1, NULL RETURNING id",
        "UPDATE tasks SET prompt = '' RETURNING id",
        "REPLACE INTO metrics SELECT 1, 1, 'm', 1, NULL",
        "WITH x AS (SELECT 1) DELETE FROM tasks",
        "WITH x(y) AS NOT MATERIALIZED (SELECT 1), z AS (SELECT 1) UPDATE tasks SET prompt = ''",
        "WITH x AS (SELECT 1) INSERT INTO metrics SELECT 1, 1, 'm', 1, NULL RETURNING id",
        "PRAGMA user_version = 5",
        "PRAGMA journal_mode = DELETE",
        "EXPLAIN SELECT 1",
        "EXPLAIN QUERY PLAN DELETE FROM tasks",
        "; DELETE FROM tasks",
        "VACUUM",
        "BEGIN",
        "DROP TABLE metrics",
    ],
)
async def test_explain_refuses_what_is_no_query(db: Database, statement: str) -> None:
    async with db.connection() as conn:
        await conn.execute(TASK, ("t1",))
        await conn.commit()
        before = conn.total_changes
        with pytest.raises(NoQueryError, match="Give one query") as caught:
            await db.explain_query_plan(statement)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, AbathurError)
        assert conn.total_changes == before
    assert await count(db) == 1


async def test_explain_tells_what_sqlite_does_not_understand(db: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await db.explain_query_plan("SELECT * FROM nowhere")
