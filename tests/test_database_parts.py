"""The async `Database`: an application replaces or extends parts of its initialization."""

import sqlite3
from pathlib import Path

import aiosqlite
import pytest

from abathur_schema import Database
from abathur_schema.declared.declaration import declared
from abathur_schema.errors import InitializationError
from tests.support.bundle import Bundle
from tests.support.inserts import TASK, count


class Extended(Database):
    """As an application would: one part replaced, tables created before and after another."""

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
        assert "idx_memory_type_updated" not in names  # from the replaced part
        assert await count(db, "tenants") == 1
        assert await count(db, "notes") == 2


class Meta(type):
    """The metaclass of an application's own base."""


class Service(metaclass=Meta):
    """A base that has a path of its own, as text."""

    def __init__(self, path: str) -> None:
        self.path = path


async def test_other_bases_may_have_a_metaclass_and_a_path(tmp_path: Path) -> None:
    class Store(Service, Database):  # type: ignore[misc]
        def __init__(self, path: str) -> None:
            Database.__init__(self, path)
            Service.__init__(self, path)

    path = str(tmp_path / "swarm.db")
    async with Store(path) as store:
        assert store.path == path
        assert await count(store) == 0
        assert await store.verify()
    assert Database(path).path == Path(path)


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
        with pytest.raises(InitializationError, match="needs what core creates"):
            await db._create_core_indexes(conn)
        await db._create_core_tables(conn)
        await db._create_core_indexes(conn)
        assert conn.row_factory is aiosqlite.Row
    await db.close()


async def test_part_on_a_connection_of_the_host(bundle: Bundle) -> None:
    """As a mixin of a class that opens its own connections."""
    bundle.sql("DROP TABLE document_index")
    async with aiosqlite.connect(bundle.path, isolation_level="EXCLUSIVE") as conn:
        for setting in declared().settings:
            await conn.execute(setting.statement)
        await Database(bundle.path)._create_memory_tables(conn)
        assert (conn.row_factory, conn.isolation_level) == (None, "EXCLUSIVE")
        assert list(await conn.execute_fetchall("SELECT count(*) FROM document_index")) == [(0,)]
