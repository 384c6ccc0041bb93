"""INSERT statements and a row count for the tests of `Database`."""

from abathur_schema import Database

TASK = (
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
    " VALUES (?, 'do', 'ready', '{}', '2026-01-01', '2026-01-01')"
)
STATE = (
    "INSERT INTO state (task_id, key, value, created_at, updated_at) VALUES (?, 'k', '1', '', '')"
)


async def count(database: Database, table: str = "tasks") -> int:
    """Return the number of rows in a table."""
    async with database.connection() as conn:
        rows = list(await conn.execute_fetchall(f"SELECT count(*) FROM {table}"))
    number: int = rows[0][0]
    return number
