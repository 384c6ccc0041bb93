"""The optional step `search`, and views and triggers of one's own: made, proven, mended."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema import Database
from tests.support.bundle import Bundle, reports
from tests.support.commands import Invoke
from tests.support.fingerprints import digests
from tests.support.generation_4 import running

MEMORY = (
    "INSERT INTO memory_entries (namespace, key, value, memory_type, version)"
    " VALUES ('{}', '{}', '{}', 'semantic', {})"
)
DOCUMENT = "INSERT INTO document_index (file_path, title, content_hash) VALUES ('{}', '{}', 'h')"
MEMORIES = "SELECT rowid, paths, key, strings FROM memory_search ORDER BY rowid"
SAVED = ";".join(
    [
        MEMORY.format("user:alice", "tea", '{"kind": "green", "cups": 2}', 1),
        MEMORY.format("user:alice", "tea", '{"kind": ["black", "sweet"]}', 2),
        MEMORY.format("user:bob", "cup", '"big"', 1),
        MEMORY.format("user:bob", "secret", '"gone"', 1),
        "UPDATE memory_entries SET is_deleted = 1 WHERE key = 'secret'",
        DOCUMENT.format("docs/plan.md", "The plan"),
    ]
)


@pytest.fixture
def searched(bundle: Bundle) -> Bundle:
    """A finished database with rows, and with full-text search."""
    bundle.sql(SAVED)
    assert bundle.run("search") == 0
    return bundle


def test_search_is_made_by_choice_and_then_belongs_to_the_database(
    invoke: Invoke, tmp_path: Path
) -> None:
    database = tmp_path / "abathur.db"
    assert invoke("init").returncode == 0
    with closing(sqlite3.connect(database)) as connection:
        assert not connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE type <> 'table' AND type <> 'index'"
        ).fetchall()
    made = invoke("search")
    assert made.returncode == 0, made.stderr
    assert "3 tables made, 1 view made, 9 triggers made" in made.stdout
    assert "search          unchanged" in invoke("search").stdout
    again = invoke("init")
    assert "search          unchanged" in again.stdout
    assert "not managed here" not in again.stdout
    planned = invoke("plan")
    assert (planned.returncode, "nothing to do" in planned.stdout) == (0, True)
    before = digests(database)
    assert invoke("verify").returncode == 0
    assert digests(database) == before
    report = reports(tmp_path / "reports")[1]
    assert report["deliverables"]["views_created"] == ["memory_texts"]
    assert len(report["deliverables"]["triggers_created"]) == 9
    made_tables = {"memory_search", "document_search", "document_changes"}
    assert set(report["deliverables"]["tables_created"]) == made_tables


def test_search_comes_after_memory(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("pragma").returncode == 0
    result = invoke("search")
    assert result.returncode == 2
    assert "invoke memory" in result.stderr


def test_what_exists_is_found_and_what_is_not_current_is_not(searched: Bundle) -> None:
    assert searched.rows(MEMORIES) == [
        (2, "x75736572 x75736572x616C696365", "tea", "black sweet"),
        (3, "x75736572 x75736572x626F62", "cup", "big"),
    ]
    assert searched.rows("SELECT rowid FROM document_search WHERE document_search MATCH 'plan'")


DRIFT = {
    "a trigger dropped": ("DROP TRIGGER memory_search_insert", "memory_search_insert is missing"),
    "a trigger of another text": (
        "DROP TRIGGER document_search_delete; CREATE TRIGGER document_search_delete"
        " AFTER DELETE ON document_index BEGIN SELECT 1; END",
        "trigger document_search_delete has another definition",
    ),
    "the view dropped": ("DROP VIEW memory_texts", "view memory_texts is missing"),
    "the view of another text": (
        "DROP VIEW memory_texts; CREATE VIEW memory_texts AS SELECT * FROM memory_entries",
        "view memory_texts has another definition",
    ),
    "an index dropped": ("DROP TABLE document_search", "document_search is missing"),
}
"""What `verify` finds, and `init` mends: rows written meanwhile included."""


@pytest.mark.parametrize("case", DRIFT)
def test_drift_is_found_and_mended(searched: Bundle, case: str) -> None:
    sql, finding = DRIFT[case]
    searched.sql(sql)
    if "DROP TABLE" not in sql:
        searched.sql("INSERT OR IGNORE INTO tasks (id) VALUES (1)")
        with closing(sqlite3.connect(searched.path)) as connection:
            try:  # what an application writes before anybody has noticed
                connection.execute(MEMORY.format("user:alice", "new", '"words"', 1))
                connection.execute("DELETE FROM document_index")
                connection.commit()
            except sqlite3.OperationalError:
                assert "memory_texts" in sql
    assert searched.run("verify") == 1
    assert finding in "".join(searched.failed()["search: as declared"])
    assert searched.run("init") == 0
    assert searched.unchanged_by_init()


DAMAGE = {
    "an index page": "UPDATE memory_search_data SET block = zeroblob(9) WHERE id > 10",
    "a row's text": "UPDATE memory_search_content SET c3 = 'other' WHERE id = 2",
    "a row's length": "DELETE FROM document_search_docsize",
    "a memory left out": "DELETE FROM memory_search WHERE rowid = 2",
    "a document left out": "DELETE FROM document_search",
    "a memory that is not current": "DROP TRIGGER memory_search_update;"
    " UPDATE memory_entries SET is_deleted = 1 WHERE id = 3",
}


@pytest.mark.parametrize("case", DAMAGE)
def test_wrong_index_is_found_and_made_anew(searched: Bundle, case: str) -> None:
    searched.sql(DAMAGE[case])
    assert searched.run("verify") == 1
    found = searched.failed()
    told = " ".join([*found, *(line for lines in found.values() for line in lines)])
    table = "document_search" if "document_search" in told else "memory_search"
    assert any(name.startswith("full-text") for name in found), found
    searched.sql(f"DROP TABLE {table}")  # the remedy that it tells
    assert searched.run("init") == 0
    assert searched.rows(MEMORIES)[0] == (2, "x75736572 x75736572x616C696365", "tea", "black sweet")


def test_rebuilt_table_keeps_its_search(searched: Bundle) -> None:
    searched.sql(
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema"
        " SET sql = replace(sql, 'title           TEXT', 'title           BLOB')"
        " WHERE name = 'document_index'"
    )
    assert searched.run("init") == 0
    assert searched.report()["deliverables"]["tables_rebuilt"] == ["document_index"]
    searched.sql("UPDATE document_index SET title = 'Another'")
    query = "SELECT rowid FROM document_search WHERE document_search MATCH 'another'"
    assert len(searched.rows(query)) == 1
    assert searched.run("verify") == 0


OTHERS = (
    "CREATE VIEW memory_texts AS SELECT 1 AS own",
    "CREATE TABLE memory_search (own)",
    "CREATE TRIGGER memory_search_insert AFTER INSERT ON tasks BEGIN SELECT 1; END",
)


@pytest.mark.parametrize("sql", OTHERS)
def test_name_that_the_application_uses_stays_its_own(bundle: Bundle, sql: str) -> None:
    bundle.sql(sql)
    before = bundle.rows("SELECT * FROM sqlite_schema")
    assert bundle.run("init") == 0
    assert bundle.run("search") == 3
    assert bundle.rows("SELECT * FROM sqlite_schema") == before
    assert bundle.run("verify") == 0


def test_application_of_generation_4_works_on_beside_it(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path)
    with running(bundle.path) as application:
        assert application.start() is not None
        application.work()
        assert bundle.run("init") == 0
        assert bundle.run("search") == 0
        application.work()
        assert application.start() == []
    assert bundle.unchanged_by_init()
    assert bundle.rows("SELECT count(*) FROM memory_search") == bundle.rows(
        "SELECT count(*) FROM memory_texts"
    )


async def test_database_makes_it_by_choice_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"

    def triggers() -> int:
        with closing(sqlite3.connect(path)) as connection:
            found = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"
            return int(connection.execute(found).fetchone()[0])

    async with Database(path):
        assert triggers() == 0
    async with Database(path, search=True) as db:
        assert triggers() == 9
        async with db.transaction() as conn:
            await conn.execute("DROP TRIGGER memory_search_insert")
    async with Database(path) as db:  # it belongs to the database now
        assert triggers() == 9
        assert {check.status for check in await db.verify()} == {"pass"}
    async with Database(":memory:", search=True) as db, db.connection() as conn:
        assert await conn.execute_fetchall("SELECT count(*) FROM memory_search")


@pytest.fixture
def no_fts5() -> dict[str, str]:
    """The environment for commands whose SQLite has no FTS5."""
    library = os.environ.get("SQLITE_WITHOUT_FTS5")
    if not library:
        pytest.skip("SQLITE_WITHOUT_FTS5 does not name a folder with such an SQLite")
    return {"LD_LIBRARY_PATH": library}


def test_sqlite_without_fts5(invoke: Invoke, tmp_path: Path, no_fts5: dict[str, str]) -> None:
    assert invoke("init", **no_fts5).returncode == 0
    refused = invoke("search", **no_fts5)
    assert refused.returncode == 2
    assert "has no FTS5" in refused.stderr
    assert invoke("search").returncode == 0
    before = digests(tmp_path / "abathur.db")
    for task in ("init", "verify"):
        result = invoke(task, **no_fts5)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "info: left out: full-text search" in result.stdout
        assert "has no FTS5" in result.stdout
    assert invoke("plan", **no_fts5).returncode == 0
    assert digests(tmp_path / "abathur.db") == before
    found = json.loads(invoke("verify", "--json", **no_fts5).stdout)
    assert any(check["name"].startswith("left out") for check in found["checks"])
