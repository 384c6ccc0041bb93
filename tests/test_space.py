"""`checkpoint`, `vacuum` and `optimize`, on databases that others use."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema.declared.declaration import declared
from abathur_schema.planning.statement import Attempt
from abathur_schema.schema.text import quoted
from abathur_schema.upkeep import space
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, invoke_command, run
from tests.support.everything import everything
from tests.support.fingerprints import digests, files_below
from tests.support.kept import differences
from tests.support.machine import disk_of, needs_root
from tests.test_backup import FILL, METRIC, states
from tests.test_status import holding


def log_of(bundle: Bundle) -> Path:
    return bundle.path.with_name(f"{bundle.path.name}-wal")


def test_checkpoint_copies_the_log_and_truncates_it(bundle: Bundle, invoke: Invoke) -> None:
    with closing(sqlite3.connect(bundle.path)) as application:
        application.execute(METRIC)
        application.commit()
        assert "pages copied" in invoke("checkpoint").stdout
        assert bundle.report()["steps"][0]["status"] == "changed"
        assert log_of(bundle).stat().st_size > 0
        assert invoke("checkpoint", "--truncate").returncode == 0
        assert log_of(bundle).stat().st_size == 0
        assert application.execute("SELECT count(*) FROM metrics").fetchone() == (1,)
    assert "unchanged" in invoke("checkpoint").stdout


def test_checkpoint_beside_a_reader_of_an_older_state(bundle: Bundle, invoke: Invoke) -> None:
    with closing(sqlite3.connect(bundle.path)) as application:
        with holding(bundle.path, "BEGIN") as reader:
            application.execute(METRIC)
            application.commit()
            passive = invoke("checkpoint")
            assert passive.returncode == 0
            assert "wait for readers of an older state" in passive.stderr
            held = invoke("checkpoint", "--truncate")
            assert held.returncode == 3
            assert "`invoke status --database" in held.stderr
            assert f"`invoke checkpoint --truncate --database {bundle.path}`" in held.stderr
            assert bundle.report()["failure"]["preserved_state"] is None
            assert f"process {reader} (" in invoke("status").stdout
        assert invoke("checkpoint", "--truncate").returncode == 0


def test_checkpoint_without_a_log(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql("PRAGMA journal_mode = DELETE")
    result = invoke("checkpoint")
    assert result.returncode == 0
    assert "not in WAL mode" in result.stderr


def test_vacuum_frees_what_is_free_and_keeps_all_else(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(FILL.format(20_000) + "; DELETE FROM metrics WHERE id > 100")
    before, size = everything(bundle.path), bundle.path.stat().st_size
    told = invoke("vacuum", "--dry-run", "--json")
    assert bundle.path.stat().st_size == size
    assert json.loads(told.stdout)["frees"] > size / 2
    with closing(sqlite3.connect(bundle.path)) as application:
        application.execute("SELECT count(*) FROM metrics").fetchone()
        result = invoke("vacuum")
        assert application.execute("SELECT count(*) FROM metrics").fetchone() == (100,)
    assert (result.returncode, result.stderr) == (0, "")
    assert "MB freed" in result.stdout
    assert bundle.report()["deliverables"]["files_modified"] == [str(bundle.path)]
    assert bundle.path.stat().st_size < size / 2
    assert differences(before, everything(bundle.path)) == []
    (state,) = states(bundle)
    assert differences(before, everything(state / "database.db")) == []
    assert bundle.run("verify") == 0
    assert invoke("vacuum", "--no-backup").returncode == 0
    assert len(states(bundle)) == 1


BOUND_TO_ROWIDS = {
    "a search over the table": "CREATE TABLE notes (name TEXT PRIMARY KEY, text);"
    "CREATE VIRTUAL TABLE found USING fts5(text, content='notes');",
    "a table with a column of another such name": "CREATE TABLE notes (oid, text);"
    "CREATE VIRTUAL TABLE found USING fts5(text, content='notes');",
    "a contentless search": "CREATE TABLE notes (text);"
    "CREATE VIRTUAL TABLE found USING fts5(text, content='');"
    "CREATE TRIGGER fill AFTER INSERT ON notes WHEN new.text <> '' BEGIN"
    " INSERT INTO found (rowid, text) VALUES (NEW.rowid, new.text); END;",
    "a search without content": "CREATE TABLE notes (text);"
    "CREATE VIRTUAL TABLE found USING fts5(text);"
    "CREATE TRIGGER fill AFTER INSERT ON notes BEGIN SELECT 1;"
    ' REPLACE INTO found (rowid, text) SELECT "new"._rowid_, new.text; END;',
    "a search over a view": "CREATE TABLE notes (text);"
    "CREATE VIEW below AS SELECT oid AS number, text FROM notes;"
    "CREATE VIEW shown AS SELECT number AS n, text FROM below;"
    "CREATE VIRTUAL TABLE found USING fts5(text, content='shown', content_rowid='n');",
}
FREE_OF_ROWIDS = {
    "a rowid that has a name": "CREATE TABLE notes (id INTEGER PRIMARY KEY, text);"
    "CREATE VIRTUAL TABLE found USING fts5(text, content='');"
    "CREATE TRIGGER fill AFTER INSERT ON notes BEGIN"
    " INSERT INTO found (rowid, text) VALUES (new.rowid, new.text); END;",
    "a column of that name": "CREATE TABLE notes (oid UNIQUE, text);"
    "CREATE VIRTUAL TABLE found USING fts5(text, content='');"
    "CREATE TRIGGER fill AFTER INSERT ON notes BEGIN"
    " INSERT INTO found (rowid, text) VALUES (new.oid, new.text); END;",
    "a trigger that keeps no rowid": "CREATE TABLE notes (text, at);"
    "CREATE TABLE mine (text);"
    "CREATE TRIGGER touch AFTER INSERT ON notes BEGIN"
    " UPDATE notes SET at = replace(new.text, 'a', 'b') WHERE rowid = new.rowid;"
    " INSERT INTO mine VALUES (new.text); END;",
    "a view by another number": "CREATE TABLE notes (number UNIQUE, text);"
    "CREATE VIEW shown AS SELECT number AS n, text FROM notes;"
    "CREATE VIRTUAL TABLE found USING fts5(text, content='shown', content_rowid='n');",
}


def test_vacuum_beside_a_reader_says_when_the_file_shrinks(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(FILL.format(2000))
    with closing(sqlite3.connect(bundle.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM metrics").fetchone()
        result = invoke("vacuum")
    assert result.returncode == 0, result.stderr
    assert "0.0 MB freed" in result.stdout
    assert "-0.0" not in result.stdout
    assert "the file shrinks when readers of an older state end" in result.stderr


@pytest.mark.parametrize("case", BOUND_TO_ROWIDS)
def test_vacuum_that_would_break_a_search_is_refused(
    case: str, bundle: Bundle, invoke: Invoke
) -> None:
    bundle.sql(BOUND_TO_ROWIDS[case])
    before = digests(bundle.path)
    for arguments in ((), ("--dry-run",)):
        result = invoke("vacuum", *arguments)
        assert result.returncode == 2
        assert "rowids to the rows of notes," in result.stderr
    assert digests(bundle.path) == before
    bundle.sql("DROP TABLE found; DROP TRIGGER IF EXISTS fill")
    assert invoke("vacuum").returncode == 0


@pytest.mark.parametrize("case", FREE_OF_ROWIDS)
def test_vacuum_where_nothing_keeps_rowids(case: str, bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(FREE_OF_ROWIDS[case])
    result = invoke("vacuum", "--dry-run")
    assert (result.returncode, result.stderr) == (0, "")


def test_vacuum_of_a_database_with_our_search(bundle: Bundle, invoke: Invoke) -> None:
    assert invoke("search").returncode == 0
    bundle.sql(
        "INSERT INTO memory_entries (namespace, key, value, memory_type)"
        " VALUES ('user:a', 'k', '\"tea\"', 'semantic')"
    )
    assert invoke("vacuum").returncode == 0
    assert invoke("verify").returncode == 0


def test_vacuum_while_somebody_writes_changes_nothing(bundle: Bundle, invoke: Invoke) -> None:
    with holding(bundle.path, "BEGIN IMMEDIATE") as writer:
        result = invoke("vacuum")
        assert result.returncode == 3
        assert "`fuser -v " in result.stderr
        assert writer
    assert states(bundle) == []
    assert bundle.run("verify") == 0


@needs_root
def test_vacuum_without_room_is_refused(tmp_path: Path) -> None:
    with disk_of(3_000_000, tmp_path / "disk") as disk:
        bundle = Bundle(disk)
        assert bundle.run("init") == 0
        bundle.sql(FILL.format(3000))
        before = digests(bundle.path)
        arguments = ("--database", str(bundle.path), "--reports", str(tmp_path / "reports"))
        result = run(invoke_command("vacuum", *arguments), tmp_path)
        assert result.returncode == 2
        assert "Make room" in result.stderr
        assert digests(bundle.path) == before


def test_optimize_writes_statistics_once(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(FILL.format(2000))
    assert "statistics written" in invoke("optimize").stdout
    assert bundle.report()["execution_status"]["status"] == "SUCCESS"
    rows = bundle.rows("SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'metrics'")
    assert rows > [(0,)]
    assert "unchanged" in invoke("optimize").stdout
    assert bundle.run("verify") == 0


def test_optimize_leaves_out_what_only_the_application_can_compare(
    bundle: Bundle, invoke: Invoke
) -> None:
    with closing(sqlite3.connect(bundle.path)) as connection:
        connection.create_collation("swarm", lambda a, b: (a > b) - (a < b))
        connection.executescript("CREATE INDEX own ON metrics (labels COLLATE swarm);" + METRIC)
    result = invoke("optimize")
    assert result.returncode == 0
    assert "index own was left out: no such collation sequence: swarm" in result.stderr
    rows = bundle.rows("SELECT DISTINCT idx FROM sqlite_stat1 WHERE tbl = 'metrics'")
    declared = "SELECT name FROM pragma_index_list('metrics') WHERE name <> 'own'"
    assert sorted(rows) == sorted(bundle.rows(declared))


@pytest.mark.parametrize("task", ["checkpoint", "vacuum", "optimize", "backup"])
def test_wrong_input(task: str, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 1000)
    before = files_below(tmp_path)
    missing = invoke(task, "--database", "gone.db")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert files_below(tmp_path) == before
    text = invoke(task, "--database", "text.db")
    assert text.returncode in (2, 3)
    assert "Traceback" not in text.stderr
    assert (tmp_path / "text.db").read_text() == "no database " * 1000


@pytest.mark.parametrize("into", [("new/folder",), ("--file", "new/folder/one.db")])
def test_failed_backup_leaves_no_folder(
    into: tuple[str, ...], empty: Bundle, invoke: Invoke
) -> None:
    empty.path.write_bytes(b"no database")
    assert invoke("backup", *into).returncode == 3
    assert not empty.path.with_name("new").exists()


def test_optimize_while_tables_come_and_go(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table by table, yet in one transaction: none is dropped before its turn."""
    bundle.sql("CREATE TABLE going (a)")
    real = quoted

    def dropped(name: str) -> str:
        if name == "going":
            with (
                closing(sqlite3.connect(bundle.path, timeout=0)) as application,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                application.execute("DROP TABLE going")
        return real(name)

    monkeypatch.setattr(space, "quoted", dropped)
    attempt = Attempt()
    space.optimize(bundle.path, declared().settings, attempt)
    assert not attempt.error
