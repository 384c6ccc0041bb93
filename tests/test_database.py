"""The async `Database`: how it is initialized, and what it reports."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from abathur_schema import Database
from abathur_schema.declared.declaration import declared
from abathur_schema.errors import InitializationError, UsageError
from tests.support.bundle import Bundle, reports
from tests.support.commands import environment
from tests.support.inserts import STATE, TASK, count


def schema(path: Path) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid").fetchall()
    connection.close()
    return rows


async def test_initialize_makes_what_init_makes(tmp_path: Path) -> None:
    made = Bundle(tmp_path)
    assert made.run("init") == 0
    path = tmp_path / "new" / "folder" / "swarm.db"
    async with Database(path):
        pass
    assert schema(path) == schema(made.path)
    assert Bundle(path.parent).run("verify") == 2  # there is no abathur.db
    assert [check.name for check in await Database(path).verify() if check.status == "fail"] == []


async def test_initialize_in_memory(db: Database) -> None:
    async with db.connection() as conn:
        rows = await conn.execute_fetchall(
            "SELECT lower(name) FROM sqlite_schema"
            " WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"
        )
    assert {name for (name,) in rows} == declared().creates.keys()


async def test_second_initialize_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Database(path) as db:
        async with db.connection() as conn:
            await conn.execute(TASK, ("t1",))
            await conn.commit()
        before = schema(path)
        await db.initialize()
        assert schema(path) == before
        assert await count(db) == 1
    assert not (tmp_path / "reports").exists()


async def test_initialize_finishes_what_the_command_began(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path)
    assert bundle.run("pragma") == bundle.run("core") == 0
    bundle.sql("INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('', 'm', 1)")
    async with Database(bundle.path) as db:
        assert await count(db, "metrics") == 1
    assert bundle.run("verify") == 0


async def test_many_tasks_initialize_at_once(tmp_path: Path) -> None:
    one, two = Database(tmp_path / "swarm.db"), Database(tmp_path / "swarm.db")
    await asyncio.gather(*(db.initialize() for db in [one, two] * 10))
    assert {check.status for check in await one.verify()} == {"pass"}
    await asyncio.gather(one.close(), two.close())


def test_many_processes_initialize_at_once(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from abathur_schema import Database\n"
        "async def main():\n"
        "    async with Database(sys.argv[1]) as db: await db.initialize()\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "swarm.db")]
    running = [subprocess.Popen(command, env=environment()) for _ in range(6)]
    assert [process.wait(60) for process in running] == [0] * 6
    found = asyncio.run(Database(tmp_path / "swarm.db").verify())
    assert {check.status for check in found} == {"pass"}


async def test_initialize_does_not_block_the_loop(tmp_path: Path) -> None:
    """While a step waits for another process's lock, the application goes on."""
    path = tmp_path / "swarm.db"
    sqlite3.connect(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("BEGIN IMMEDIATE")
    db = Database(path)
    initializing = asyncio.create_task(db.initialize())
    longest, end = 0.0, time.monotonic() + 1.5
    while time.monotonic() < end:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    assert not initializing.done()
    assert longest < 1.2
    other.execute("COMMIT")
    other.close()
    await initializing
    await db.close()


async def test_cancelled_initialize_leaves_whole_steps_and_no_lock(tmp_path: Path) -> None:
    db = Database(tmp_path / "swarm.db")
    for wait in (0.0, 0.001, 0.005, 0.01):
        initializing = asyncio.create_task(db.initialize())
        await asyncio.sleep(wait)
        initializing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await initializing
    await db.initialize()
    await db.close()
    assert {check.status for check in await db.verify()} == {"pass"}


async def test_failed_step_is_preserved_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE VIEW audit AS SELECT 1")
    connection.close()
    db = Database(path)
    with pytest.raises(InitializationError, match="core failed: table audit is missing") as caught:
        await db.initialize()
    error = caught.value
    assert (error.step, error.exit_code) == ("core", 3)
    assert error.__cause__
    assert error.report
    assert error.preserved_state
    assert f"state preserved in: {error.preserved_state}" in str(error)
    assert f"report: {error.report}" in str(error)
    assert "what to do: ask who made them" in str(error)
    assert {kept.name for kept in error.preserved_state.iterdir()} == {
        *("database.db", "statements.sql", "escalation.md", "report.json"),
    }
    (report,) = reports(tmp_path / "reports")
    assert report["execution_status"]["status"] == "PARTIAL"
    assert [step["status"] for step in report["steps"]] == ["changed", "failed", *["skipped"] * 3]
    await db.close()


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 500])
async def test_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "swarm.db"
    path.write_bytes(content)
    with pytest.raises(InitializationError) as caught:
        await Database(path, reports=tmp_path / "kept").initialize()
    assert caught.value.step == "pragma"
    assert caught.value.preserved_state
    assert (caught.value.preserved_state / "database.db").read_bytes() == content
    assert path.read_bytes() == content
    assert len(reports(tmp_path / "kept")) == 1


async def test_failure_that_cannot_be_reported_says_so(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("in the way")
    (tmp_path / "swarm.db").write_text("no database")
    with pytest.raises(InitializationError, match="the report could not be written") as caught:
        await Database(tmp_path / "swarm.db").initialize()
    assert caught.value.report is None


@pytest.mark.parametrize("name", ["a?b#c%20 d.db", os.fsdecode(b"b\xff.db"), "ä'\".db"])
async def test_any_path_that_a_file_may_have(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        async with Database(str(tmp_path / name)) as db:
            assert await count(db) == 0
            assert await count(db) == 0
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize("path", ["", "a\0b", "."])
async def test_path_that_can_be_no_database(path: str) -> None:
    with pytest.raises(UsageError):
        await Database(path).initialize()


async def test_failed_initialization_in_memory() -> None:
    db = Database(":memory:")
    async with db.connection() as conn:
        await conn.execute("CREATE VIEW audit AS SELECT 1")
    with pytest.raises(InitializationError, match="audit is missing") as caught:
        await db.initialize()
    assert caught.value.report is caught.value.preserved_state is None
    await db.close()


async def test_validate_foreign_keys(tmp_path: Path, bundle: Bundle) -> None:
    db = Database(bundle.path)
    assert await db.validate_foreign_keys() == []
    bundle.sql(STATE.replace("?", "'nobody'"))
    assert await db.validate_foreign_keys() == [("state", 1, "tasks", 0)]
    await db.close()


async def test_index_usage(db: Database) -> None:
    usage = await db.get_index_usage()
    expected = {
        (index.name, index.table)
        for index in declared().schema.indexes.values()
        if index.origin == "c"
    }
    assert usage["index_count"] == len(expected)
    assert {(index["name"], index["table"]) for index in usage["indexes"]} == expected


async def test_verify_finds_what_is_wrong(bundle: Bundle) -> None:
    db = Database(bundle.path)
    assert {check.status for check in await db.verify()} == {"pass"}
    bundle.sql("DROP INDEX idx_agents_state")
    assert {check.name for check in await db.verify() if check.status == "fail"} == {
        "core-indexes: as declared",
        "The agents that are idle, or working",
    }
    with pytest.raises(UsageError, match="in memory"):
        await Database(":memory:").verify()
