"""The async `Database`, and its script, upgrade older databases."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema import Database
from abathur_schema.errors import InitializationError
from tests.support import older
from tests.support.bundle import reports
from tests.support.commands import script
from tests.support.fingerprints import columns, old_digests, renamed


@pytest.mark.parametrize("generation", older.GENERATIONS)
async def test_older_database_comes_up_to_date(generation: int, tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    older.make(path, generation, extended=True)
    with closing(sqlite3.connect(path)) as connection:
        (tasks,) = connection.execute("SELECT count(*) FROM tasks").fetchone()
    there = columns(path)
    before = old_digests(path, there)
    async with Database(path) as db:
        assert await db.validate_foreign_keys() == []
        async with db.connection() as conn:
            rows = await conn.execute_fetchall("SELECT count(*) AS tasks FROM tasks")
            assert [row["tasks"] for row in rows] == [tasks]
    assert old_digests(path, {table: renamed(names) for table, names in there.items()}) == before
    written = reports(tmp_path / "reports") if generation < 3 else []
    assert [report["execution_status"]["status"] for report in written] == ["SUCCESS"] * len(
        written
    )
    for report in written:  # a copy was kept, and the report says where
        assert (Path(report["copy_before"]) / "database.db").is_file()
        assert report["deliverables"]["tables_rebuilt"] == ["tasks"]
    if generation == 3:
        assert not (tmp_path / "reports").exists()


async def test_rows_that_break_what_is_declared_end_the_initialization(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT,"
            " timestamp TIMESTAMP NOT NULL, metric_name TEXT NOT NULL,"
            " metric_value REAL NOT NULL, labels TEXT);"
            "INSERT INTO metrics VALUES (7, 't', 'm', -1, NULL)"
        )
    with pytest.raises(InitializationError, match="the first is rowid 7") as caught:
        await Database(path).initialize()
    assert caught.value.preserved_state
    (report,) = reports(tmp_path / "reports")
    assert report["failure"]["step"] == "core"


@pytest.mark.parametrize("generation", older.GENERATIONS)
def test_script_on_an_older_database(generation: int, tmp_path: Path) -> None:
    older.make(tmp_path / "older.db", generation, violating=generation == 2)
    result = script(tmp_path, "older.db")
    lines = result.stdout.splitlines()
    assert lines[0] == "Database initialized successfully"
    if generation == 2:
        assert result.returncode == 1
        assert "WARNING" in result.stdout + result.stderr
    else:
        assert lines[1] == "Foreign key validation: PASSED"
        assert result.returncode == 0
