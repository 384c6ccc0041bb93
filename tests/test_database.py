"""The async `Database`: what it makes, what it lends, what it tells."""

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiosqlite
import pytest
from conftest import ROOT, Bundle, environment, reports

from abathur_schema import AbathurError, Database, pool
from abathur_schema.async_connection import in_its_thread
from abathur_schema.connection import COMPANIONS, unsettled
from abathur_schema.declared import declared
from abathur_schema.errors import InitializationError, NoQueryError, UsageError

TASK = (
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
    " VALUES (?, 'do', 'ready', '{}', '2026-01-01', '2026-01-01')"
)
STATE = (
    "INSERT INTO state (task_id, key, value, created_at, updated_at) VALUES (?, 'k', '1', '', '')"
)


@pytest.fixture(params=["file", "memory"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An initialized database, once of each kind."""
    path = tmp_path / "swarm.db" if request.param == "file" else ":memory:"
    async with Database(path) as database:
        yield database


@pytest.fixture
async def file_db(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "swarm.db") as database:
        yield database


async def count(database: Database, table: str = "tasks") -> int:
    async with database.connection() as conn:
        rows = list(await conn.execute_fetchall(f"SELECT count(*) FROM {table}"))
    number: int = rows[0][0]
    return number


def schema(path: Path) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid").fetchall()
    connection.close()
    return rows


# initialize


async def test_initialize_makes_what_init_makes(tmp_path: Path) -> None:
    made = Bundle(tmp_path)
    assert made.run("init") == 0
    path = tmp_path / "new" / "folder" / "swarm.db"
    async with Database(path):
        pass
    assert schema(path) == schema(made.path)
    assert Bundle(path.parent).run("verify") == 2  # no abathur.db there; and below is the proof
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
    """Another process holds the lock: the step waits for it, the application goes on."""
    path = tmp_path / "swarm.db"
    sqlite3.connect(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("BEGIN IMMEDIATE")
    db = Database(path)
    initializing = asyncio.create_task(db.initialize())
    longest, end = 0.0, time.monotonic() + 0.5
    while time.monotonic() < end:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    assert not initializing.done()
    assert longest < 0.4
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
    assert "what to do: rename or drop what is in the way" in str(error)
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


# Extending


class Extended(Database):
    """As a host would: one part replaced, tables before and after."""

    async def _create_core_tables(self, conn: aiosqlite.Connection) -> None:
        await conn.execute("CREATE TABLE IF NOT EXISTS tenants (id TEXT PRIMARY KEY)")
        await conn.execute("INSERT OR IGNORE INTO tenants VALUES ('first')")
        await super()._create_core_tables(conn)
        await conn.execute("CREATE TABLE IF NOT EXISTS notes (task_id TEXT REFERENCES tasks(id))")

    async def _create_memory_indexes(self, conn: aiosqlite.Connection) -> None:
        await conn.execute("CREATE INDEX IF NOT EXISTS mine ON sessions(app_name, status)")
        await conn.execute("INSERT INTO notes VALUES (NULL)")


@pytest.mark.parametrize("kind", ["file", "memory"])
async def test_parts_are_overridden_and_extended(tmp_path: Path, kind: str) -> None:
    async with Extended(tmp_path / "swarm.db" if kind == "file" else ":memory:") as db:
        await db.initialize()
        usage = await db.get_index_usage()
        names = {index["name"] for index in usage["indexes"]}
        assert {"mine", "idx_tasks_parent"} <= names
        assert "idx_memory_type_updated" not in names  # of the part that was replaced
        assert await count(db, "tenants") == 1
        assert await count(db, "notes") == 2


async def test_part_that_fails_ends_the_initialization(tmp_path: Path) -> None:
    class Broken(Database):
        async def _create_core_indexes(self, conn: aiosqlite.Connection) -> None:
            await conn.execute(TASK, ("t1",))
            raise LookupError("mine")

    db = Broken(tmp_path / "swarm.db")
    with pytest.raises(LookupError, match="mine"):
        await db.initialize()
    assert await count(db) == 0  # and no lock is left
    async with db.transaction() as conn:
        await conn.execute(TASK, ("t2",))
    await db.close()


async def test_part_by_itself(tmp_path: Path) -> None:
    db = Database(tmp_path / "swarm.db")
    sqlite3.connect(db.path).close()
    assert Bundle(tmp_path).run("pragma") == 0
    (tmp_path / "abathur.db").rename(db.path)
    async with db.connection() as conn:
        with pytest.raises(InitializationError, match="builds upon what core makes"):
            await db._create_core_indexes(conn)
        await db._create_core_tables(conn)
        await db._create_core_indexes(conn)
        assert conn.row_factory is aiosqlite.Row
    await db.close()


async def test_part_on_a_connection_of_the_host(bundle: Bundle) -> None:
    """As a mixin in a class that opens connections and initializes by itself."""
    bundle.sql("DROP TABLE document_index")
    async with aiosqlite.connect(bundle.path, isolation_level="EXCLUSIVE") as conn:
        for setting in declared().settings:
            await conn.execute(setting.statement)
        await Database(bundle.path)._create_memory_tables(conn)
        assert (conn.row_factory, conn.isolation_level) == (None, "EXCLUSIVE")
        assert list(await conn.execute_fetchall("SELECT count(*) FROM document_index")) == [(0,)]


# What is lent


async def test_settings_of_every_connection_read_back(db: Database) -> None:
    async def check() -> None:
        async with db.connection() as conn:
            assert await in_its_thread(conn, unsettled) == []
            await asyncio.sleep(0.01)
            assert conn.row_factory is aiosqlite.Row
            assert conn.isolation_level == ""

    for _ in range(2):
        await asyncio.gather(*(check() for _ in range(20)))


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA foreign_keys = OFF",
        "PRAGMA busy_timeout = 1",
        "PRAGMA synchronous = OFF",
        "CREATE TEMP TABLE t (x)",
        "ATTACH ':memory:' AS other",
        "BEGIN",
        "BEGIN EXCLUSIVE",
    ],
)
async def test_next_block_meets_nothing_of_the_one_before(file_db: Database, change: str) -> None:
    async with file_db.connection() as conn:
        await conn.execute(change)
        conn.row_factory = None
        conn.isolation_level = "IMMEDIATE"
    async with file_db.connection() as conn:
        assert await in_its_thread(conn, unsettled) == []
        assert len(list(await conn.execute_fetchall("PRAGMA database_list"))) == 1
        assert not conn.in_transaction
        assert (conn.row_factory, conn.isolation_level) == (aiosqlite.Row, "")


async def test_block_that_closes_its_connection(file_db: Database) -> None:
    async with file_db.connection() as conn:
        await conn.close()
    assert await count(file_db) == 0


async def test_rows_are_read_by_name(db: Database) -> None:
    async with db._get_connection() as conn:
        await conn.execute(TASK, ("t1",))
        await conn.commit()
        async with conn.execute("SELECT id, prompt FROM tasks") as cursor:
            row = await cursor.fetchone()
    assert row
    assert (row["id"], row["prompt"]) == ("t1", "do")


async def test_leaving_without_commit_loses_the_writes(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute(TASK, ("t1",))
        assert conn.in_transaction
    assert await count(db) == 0


async def test_error_undoes_the_writes(db: Database) -> None:
    with suppress(LookupError):
        async with db.connection() as conn:
            await conn.execute("BEGIN")
            await conn.execute(TASK, ("t1",))
            raise LookupError
    assert await count(db) == 0
    async with db.transaction() as conn:  # no lock is left
        await conn.execute(TASK, ("t1",))


async def test_host_begins_commits_and_rolls_back(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute("BEGIN")
        await conn.execute(TASK, ("t1",))
        await conn.rollback()
        await conn.execute("BEGIN")
        await conn.execute(TASK, ("t2",))
        await conn.commit()
        await conn.execute(TASK, ("t3",))
        await conn.execute("COMMIT")
    assert await count(db) == 2


async def test_foreign_keys_are_enforced(db: Database) -> None:
    async with db.connection() as conn:
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            await conn.execute(STATE, ("nobody",))


async def test_before_initialize_a_file_is_missed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"await initialize\(\)"):
        async with Database(tmp_path / "swarm.db").connection():
            pass
    assert list(tmp_path.iterdir()) == []


async def test_unread_result_is_not_in_the_way(file_db: Database) -> None:
    """The cursor is still alive, and has rows to read, when another block gets its connection."""
    async with file_db.connection() as conn:
        await conn.executemany(TASK, [(f"t{number}",) for number in range(10)])
        await conn.commit()
        cursor = await conn.execute("SELECT * FROM tasks")
        await cursor.fetchone()
        raw = conn._conn
    other = sqlite3.connect(file_db.path)
    other.execute(TASK, ("other",))
    other.commit()
    other.close()
    async with file_db.connection() as conn:
        assert conn._conn is raw  # the same one
        await conn.execute(TASK, ("new",))  # in the old state SQLite would say "locked", at once
        await conn.commit()
        rows = list(await conn.execute_fetchall("SELECT count(*) FROM tasks"))
    assert rows[0][0] == 12
    del cursor


async def test_file_that_was_replaced_is_opened_anew(file_db: Database) -> None:
    """As when a copy is put back; the old file would take writes that nobody finds again."""
    async with file_db.connection() as conn:
        await conn.execute(TASK, ("old",))
        await conn.commit()
    async with Database(file_db.path.with_name("other.db")) as other:
        path = other.path
    for suffix in COMPANIONS:
        file_db.path.with_name(file_db.path.name + suffix).unlink(missing_ok=True)
    path.rename(file_db.path)
    assert await count(file_db) == 0


async def test_no_connection_is_lent_twice(file_db: Database) -> None:
    lent: set[int] = set()
    most = 0

    async def work() -> None:
        nonlocal most
        for _ in range(5):
            async with file_db.connection() as conn:
                assert id(conn) not in lent
                lent.add(id(conn))
                most = max(most, len(lent))
                await asyncio.sleep(0.001)
                lent.remove(id(conn))

    await asyncio.gather(*(work() for _ in range(40)))
    assert most == pool.AT_ONCE


async def test_blocks_that_keep_theirs_stop_nobody(file_db: Database) -> None:
    leave = asyncio.Event()

    async def keep() -> None:
        async with file_db.connection():
            await leave.wait()

    keeping = [asyncio.create_task(keep()) for _ in range(pool.AT_ONCE)]
    await asyncio.sleep(0.1)
    assert await asyncio.wait_for(count(file_db), pool.PATIENCE_SECONDS + 5) == 0
    leave.set()
    await asyncio.gather(*keeping)


async def test_blocks_inside_blocks(db: Database) -> None:
    async def nested(depth: int) -> int:
        async with db.connection():
            return await nested(depth - 1) if depth else await count(db)

    started = time.monotonic()
    assert await asyncio.gather(*(nested(3) for _ in range(20))) == [0] * 20
    assert time.monotonic() - started < pool.PATIENCE_SECONDS * 2


async def test_tasks_of_a_block_take_turns_in_it() -> None:
    async with Database(":memory:") as db:

        async def write(name: str) -> None:
            async with db.connection() as conn:
                await conn.execute("BEGIN")
                await conn.execute(TASK, (name,))
                await asyncio.sleep(0.001)
                await conn.commit()

        async with db.connection():
            await asyncio.gather(write("t1"), write("t2"))
            late = asyncio.create_task(write("t3"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.gather(write("t4"), late)
        assert await count(db) == 4


async def test_memory_that_is_kept_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Database(":memory:") as db:
        monkeypatch.setattr(pool, "busy_timeout_seconds", lambda: 0.05)
        entered = asyncio.Event()

        async def keep() -> None:
            async with db.connection():
                entered.set()
                await asyncio.sleep(0.3)

        keeping = asyncio.create_task(keep())
        await entered.wait()
        with pytest.raises(sqlite3.OperationalError, match="database is locked: another block"):
            await count(db)
        await keeping
        assert await count(db) == 0


# Cancelled tasks

SLOW = "WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n) SELECT max(x) AS x FROM n"


@pytest.mark.parametrize(
    "statement", [SLOW, f"INSERT INTO metrics SELECT 1, 1, 'm', x, NULL FROM ({SLOW})"]
)
async def test_cancelled_task_stops_and_leaves_no_lock(db: Database, statement: str) -> None:
    async def work() -> None:
        async with db.connection() as conn:
            await conn.execute(TASK, ("t1",))
            await conn.execute(statement)

    working = asyncio.create_task(work())
    await asyncio.sleep(0.2)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 5)
    async with db.transaction() as conn:
        await conn.execute(TASK, ("t2",))
    assert await count(db) == 1


def connection_threads() -> int:
    names = (thread.name for thread in threading.enumerate())
    return sum(not name.startswith(("MainThread", "asyncio")) for name in names)


async def falls_to(most: int) -> bool:
    """Whether no more threads of connections are left than these; some may be on their way out."""
    for _ in range(200):
        if connection_threads() <= most:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_tasks_cancelled_anywhere_leak_nothing(tmp_path: Path) -> None:
    """Each is cancelled a little later than the one before: while opening, waiting, writing ..."""
    before = connection_threads()
    async with Database(tmp_path / "swarm.db") as db:

        async def work(name: str) -> None:
            async with db.connection() as conn:
                await conn.execute(TASK, (name,))
                await conn.commit()

        for number in range(60):
            working = [asyncio.create_task(work(f"{number}-{k}")) for k in range(3)]
            await asyncio.sleep(number / 20_000)
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        async with db.transaction() as conn:
            await conn.execute(TASK, ("last",))
        assert await falls_to(before + pool.AT_ONCE)
    assert await falls_to(before)
    gc.collect()  # a connection that was not closed would warn, and a warning is an error here


def test_program_that_forgets_to_close_ends(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from abathur_schema import Database\n"
        "async def main():\n"
        "    for path in (sys.argv[1], ':memory:'):\n"
        "        db = Database(path)\n"
        "        await db.initialize()\n"
        "        async with db.connection() as conn: await conn.execute('SELECT 1')\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "swarm.db")]
    assert subprocess.run(command, env=environment(), timeout=30, check=False).returncode == 0


async def test_file_can_be_used_after_close(file_db: Database) -> None:
    await file_db.close()
    assert await count(file_db) == 0
    async with file_db.connection() as conn:
        await file_db.close()  # this one is closed when it comes back
        await conn.execute("SELECT 1")
    assert await count(file_db) == 0


def test_one_database_in_several_loops(tmp_path: Path) -> None:
    db = Database(tmp_path / "swarm.db")
    asyncio.run(db.initialize())
    assert asyncio.run(count(db)) == 0
    assert asyncio.run(count(db)) == 0
    asyncio.run(db.close())


# Transactions


async def test_transactions_lose_no_update(db: Database) -> None:
    async with db.transaction() as conn:
        await conn.execute(TASK, ("t1",))

    async def add() -> None:
        async with db.transaction() as conn:
            rows = await conn.execute_fetchall("SELECT retry_count FROM tasks")
            for (number,) in rows:
                await conn.execute("UPDATE tasks SET retry_count = ?", (number + 1,))

    await asyncio.gather(*(add() for _ in range(50)))
    async with db.connection() as conn:
        rows = list(await conn.execute_fetchall("SELECT retry_count FROM tasks"))
    assert rows[0]["retry_count"] == 50


async def test_failed_transaction_is_undone(db: Database) -> None:
    with suppress(LookupError):
        async with db.transaction() as conn:
            await conn.execute(TASK, ("t1",))
            raise LookupError
    assert await count(db) == 0


async def test_transaction_inside_itself_says_so_at_once(db: Database) -> None:
    async with db.transaction():
        with pytest.raises(UsageError, match="in a transaction already"):
            async with db.transaction():
                pass
    async with db.transaction() as conn:
        await conn.execute(TASK, ("t1",))


# What it tells


async def test_validate_foreign_keys(tmp_path: Path, bundle: Bundle) -> None:
    db = Database(bundle.path)
    assert await db.validate_foreign_keys() == []
    bundle.sql(STATE.replace("?", "'nobody'"))
    assert await db.validate_foreign_keys() == [("state", 1, "tasks", 0)]
    await db.close()


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


# The script


def script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "initialize_database.py"), *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


PASSED = "Database initialized successfully\nForeign key validation: PASSED\n"


@pytest.mark.parametrize("arguments", [(), ("new/swarm.db",)])
def test_script_on_a_new_and_then_an_existing_path(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    for _ in range(2):
        result = script(tmp_path, *arguments)
        assert (result.returncode, result.stdout, result.stderr) == (0, PASSED, "")
    assert (tmp_path / (arguments[0] if arguments else "abathur.db")).is_file()


def test_script_names_each_violation(bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql(
        f"{STATE.replace('?', chr(39) + 'nobody' + chr(39))};"
        "INSERT INTO checkpoints (task_id, iteration, state, created_at)"
        " VALUES ('gone', 7, '{}', '')"
    )
    result = script(tmp_path, "abathur.db")
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "Database initialized successfully",
        "WARNING: foreign key violations: 2",
        "  row 1 of state references a row of tasks that is not there (key 0)",
        "  row 1 of checkpoints references a row of tasks that is not there (key 1)",
    ]


def test_script_on_wrong_input(tmp_path: Path) -> None:
    for arguments in ([str(tmp_path)], ["a", "b"], ["--nonsense"]):
        result = script(tmp_path, *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert "Traceback" not in result.stderr


def test_script_when_a_step_fails(tmp_path: Path) -> None:
    (tmp_path / "abathur.db").write_text("no database")
    result = script(tmp_path)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("pragma failed: file is not a database")
    assert "Traceback" not in result.stderr
    assert len(reports(tmp_path / "reports")) == 1


# Importing


def test_import_of_the_package_loads_nothing_else() -> None:
    program = "import sys; import abathur_schema; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    ours = {name for name in loaded if name.startswith("abathur_schema")}
    assert ours == {"abathur_schema"}
    assert not {"aiosqlite", "asyncio", "invoke", "sqlite3", "sqlite_utils"} & set(loaded)


def test_commands_never_load_what_only_applications_need(tmp_path: Path) -> None:
    program = (
        "import sys; from abathur_schema.commands import run_task\n"
        "assert run_task('init', 'abathur.db', 'reports', False) == 0\n"
        "print('aiosqlite' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == "False"


def test_unknown_name_of_the_package() -> None:
    import abathur_schema

    with pytest.raises(AttributeError, match="nothing"):
        abathur_schema.nothing  # noqa: B018
