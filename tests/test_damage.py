"""Damaged and hostile files: a sample of what `tests/campaigns/` tries."""

import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from abathur_schema.commands.tasks import run_restore
from abathur_schema.storage import connection, snapshot
from tests.campaigns import damage, hostile, hostile_files, kinds_of_damage
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, environment, invoke_command


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[kinds_of_damage.Image]:
    return kinds_of_damage.images(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("number", range(4))
def test_sound_database_passes_the_proofs(
    number: int, sound: list[kinds_of_damage.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise any damage would seem to be found."""
    image = sound[number]
    path = tmp_path / "sound.db"
    path.write_bytes(image.file)
    (tmp_path / "sound.db-wal").write_bytes(image.wal)
    for large in (0, 1 << 40):
        monkeypatch.setattr(snapshot, "LARGE", large)
        assert not damage.found_by_verify(path)


@pytest.mark.parametrize("kind", kinds_of_damage.KINDS)
def test_what_integrity_check_finds_verify_finds(
    kind: str, sound: list[kinds_of_damage.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "damaged.db"
    for seed in range(8):
        monkeypatch.setattr(snapshot, "LARGE", 0 if seed // len(sound) else 1 << 40)
        kinds_of_damage.damaged(sound[seed % len(sound)], kind, seed, path)
        if damage.found_by_sqlite(path):
            assert damage.found_by_verify(path), seed


def test_page_in_the_free_list_and_in_a_table_is_found(
    sound: list[kinds_of_damage.Image], tmp_path: Path
) -> None:
    """Damage that the check of a single table does not see."""
    path = tmp_path / "damaged.db"
    content = bytearray(sound[0].file)
    start = (int.from_bytes(content[32:36], "big") - 1) * kinds_of_damage.PAGE + 8
    content[start : start + 4] = (2).to_bytes(4, "big")
    path.write_bytes(content)
    bundle = Bundle(tmp_path)
    bundle.path = path
    assert bundle.run("verify") == 1
    found = "".join(bundle.failed()["integrity_check"])
    assert "2nd reference to page 2" in found
    assert "is never used" in found


@pytest.mark.parametrize("kind", hostile_files.MADE)
def test_hostile_file_does_no_harm(kind: str, tmp_path: Path) -> None:
    worker = hostile.Worker()
    try:
        path = tmp_path / "place" / "hostile.db"
        path.parent.mkdir()
        (path.parent / "victim").write_text("precious\0")
        hostile_files.MADE[kind](path)
        assert list(hostile.faults(worker, path, [])) == []
    finally:
        worker.stop()


def test_scan_without_end_is_given_up_and_said_so(tmp_path: Path, capsys: Any) -> None:
    bundle = Bundle(tmp_path)
    hostile_files.endless_tree(bundle.path)
    assert bundle.run("verify") == 1
    assert "could not be checked: aborted after more time than" in "".join(
        bundle.failed()["integrity_check"]
    )


def test_planted_journal_deletes_nothing(tmp_path: Path, invoke: Invoke) -> None:
    """First, prove that SQLite itself would: otherwise this test shows nothing."""
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "victim").write_text("precious\0")
        hostile_files.planted_journal(tmp_path / name / "a.db")
    with sqlite3.connect(tmp_path / "theirs" / "a.db") as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema")
    connection.close()
    assert not (tmp_path / "theirs" / "victim").exists()
    before = (tmp_path / "ours" / "a.db").read_bytes()
    result = invoke("init", "--database", "ours/a.db")
    assert result.returncode == 3
    assert "was not written by SQLite" in result.stderr
    assert (tmp_path / "ours" / "victim").exists()
    assert (tmp_path / "ours" / "a.db").read_bytes() == before


def test_journal_of_sqlite_itself_is_played_back(tmp_path: Path, invoke: Invoke) -> None:
    """A process killed in a transaction on two databases leaves a super-journal."""
    script = (
        "import os, sqlite3\n"
        "c = sqlite3.connect('abathur.db', isolation_level=None)\n"
        'c.executescript(\'CREATE TABLE mine (x); ATTACH "b.db" AS b; CREATE TABLE b.t (x);'
        "PRAGMA cache_size = 1; PRAGMA b.cache_size = 1; BEGIN IMMEDIATE')\n"
        "for _ in range(100):\n"
        "    c.execute('INSERT INTO mine VALUES (randomblob(3000))')\n"
        "    c.execute('INSERT INTO t VALUES (randomblob(3000))')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run(["python3", "-c", script], cwd=tmp_path, check=False)
    assert (tmp_path / "abathur.db-journal").exists()
    assert invoke("init").returncode == 0
    assert Bundle(tmp_path).rows("SELECT count(*) FROM mine") == [(0,)]


def test_table_that_cannot_be_checked_is_named_and_the_others_are_checked(bundle: Bundle) -> None:
    """One table has an index on the application's own function; another one is damaged."""
    connection = sqlite3.connect(bundle.path, isolation_level=None)
    connection.create_function("mine", 1, str, deterministic=True)
    connection.executescript(
        "CREATE TABLE words (word); INSERT INTO words VALUES ('a');"
        "CREATE INDEX by_mine ON words (mine(word));"
        "CREATE TABLE other (x); INSERT INTO other VALUES (NULL);"
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE other (x NOT NULL)' WHERE name = 'other'"
    )
    connection.close()
    assert bundle.run("verify") == 1
    assert bundle.failed()["integrity_check"] == [
        "in table other or an index of it: NULL value in other.x"
    ]
    checks = {check["name"]: check for check in bundle.report()["checks"]}
    unproven = checks["only the application can prove"]
    assert unproven["status"] == "info"
    assert unproven["findings"] == ["integrity_check of words: unknown function: mine()"]


def test_rows_that_break_a_declared_check_are_counted(bundle: Bundle) -> None:
    bundle.sql(
        "PRAGMA ignore_check_constraints = ON;"
        "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('2026', 'm', -1);"
        "INSERT INTO sessions (id, app_name, user_id, status, events)"
        " VALUES ('a', 'a', 'u', 'gone', '[}'), ('b', 'a', 'u', 'gone', '[]')"
    )
    assert bundle.run("verify") == 1
    assert bundle.failed() == {
        "every row satisfies the declared CHECKs": [
            "table metrics, 1 rows break CHECK (metric_value >= 0)",
            "table sessions, 1 rows break CHECK (json_valid ( events ))",
            "table sessions, 2 rows break CHECK (status in ( 'created' , 'active' , 'paused' ,"
            " 'terminated' , 'archived' ))",
        ]
    }


def test_table_that_answers_for_a_check_of_sqlite_hides_no_damage(bundle: Bundle) -> None:
    """First, prove that it would: a SELECT from the empty table says that nothing is wrong."""
    bundle.sql(
        "CREATE TABLE t (a); CREATE INDEX ti ON t (a); INSERT INTO t VALUES (1);"
        "CREATE TABLE pragma_quick_check (quick_check);"
        "CREATE VIRTUAL TABLE pragma_integrity_check USING fts5 (integrity_check);"
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = sql || ' WHERE a > 1' WHERE name = 'ti';"
        "PRAGMA writable_schema = RESET; INSERT INTO t VALUES (0); PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX ti ON t (a)' WHERE name = 'ti'"
    )
    assert bundle.rows("SELECT * FROM pragma_integrity_check('t')") == []
    assert bundle.rows("PRAGMA integrity_check") != [("ok",)]
    assert bundle.run("verify") == 1
    (finding,) = bundle.failed()["the database can be read"]
    assert "the name pragma_quick_check hides a function of SQLite" in finding
    assert "rename it" in bundle.report()["orchestration_context"]["next_recommended_action"]


def make_slow(bundle: Bundle) -> None:
    """An index whose entries take a hundredth of a second each, and many minutes in all."""
    bundle.sql(
        "CREATE TABLE slow (a); CREATE INDEX by_a ON slow (+a);"
        f"INSERT INTO slow {hostile_files.NUMBERS.replace('20', '30000')} SELECT i FROM n;"
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX by_a ON slow"
        " (min(a, length(hex(zeroblob(a * 0 + 8000000)))))' WHERE name = 'by_a'"
    )


def test_slow_file_is_given_up_and_said_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    make_slow(bundle)
    monkeypatch.setattr(connection, "SECONDS", 1.0)
    monkeypatch.setattr(connection, "SECONDS_PER_BYTE", 0.0)
    started = time.monotonic()
    assert bundle.run("verify") == 1
    assert time.monotonic() - started < 10
    assert "aborted after more time than" in "".join(bundle.failed()["integrity_check"])


def test_slow_copy_is_not_called_damaged_by_an_interruption(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    make_slow(bundle)
    state = tmp_path / "state"
    state.mkdir()
    bundle.path.rename(state / "database.db")
    monkeypatch.setattr(connection, "SECONDS", 1.0)
    monkeypatch.setattr(connection, "SECONDS_PER_BYTE", 0.0)
    paths = str(bundle.path), str(bundle.reports)
    assert run_restore(str(state), *paths, as_json=False) == 2
    assert "aborted after more time than any sound file of this size" in capsys.readouterr().err
    assert not bundle.path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_slow_file_can_be_left(number: signal.Signals, bundle: Bundle) -> None:
    make_slow(bundle)
    with subprocess.Popen(
        invoke_command("verify", "--database", str(bundle.path)),
        cwd=bundle.path.parent,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(2)
        process.send_signal(number)
        _, error = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert "interrupted" in error


def test_what_is_found_in_a_hostile_file_stays_small(bundle: Bundle) -> None:
    """A hundred tables, each with enough violations to fill the report, and very long names."""
    name = "long" * 250
    bundle.sql(
        "".join(
            f"CREATE TABLE t{number} ({name} REFERENCES tasks (id));"
            f"INSERT INTO t{number} {hostile_files.NUMBERS.replace('20', '500')} SELECT i FROM n;"
            for number in range(100)
        )
    )
    assert bundle.run("verify") == 1
    findings = bundle.failed()["foreign_key_check"]
    assert len(findings) == 10_001
    assert findings[-1] == "and 40000 more"
    assert max(map(len, findings)) < 1100


def test_name_cannot_forge_a_line(bundle: Bundle, capsys: Any) -> None:
    bundle.sql('CREATE INDEX "a\nverify 73 checks passed\n" ON agents (model)')
    capsys.readouterr()
    assert bundle.run("verify") == 0
    shown = capsys.readouterr().out
    assert "a\\x0averify 73 checks passed\\x0a" in shown


def with_damage(bundle: Bundle, at: str, content: bytes) -> list[str]:
    """What integrity_check of `verify` finds after a page of a filled database was changed."""
    bundle.sql(
        "CREATE TABLE gone (a); INSERT INTO gone VALUES (randomblob(100000)); DROP TABLE gone;"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
        " SELECT i, hex(zeroblob(100)), 'ready', '{}', 't', 'u' FROM n;"
        "PRAGMA wal_checkpoint(TRUNCATE)"
    )
    ((page,),) = bundle.rows("SELECT rootpage FROM sqlite_schema WHERE name = 'tasks'")
    start = 36 if at == "free list" else (page - 1) * 4096
    damaged = bytearray(bundle.path.read_bytes())
    damaged[start : start + len(content)] = content
    bundle.path.write_bytes(damaged)
    assert bundle.run("verify") == 1
    return bundle.failed()["integrity_check"]


def test_damaged_table_is_named_before_the_pages_that_it_lost(bundle: Bundle) -> None:
    found = with_damage(bundle, "tasks", bytes(4096))
    assert "tasks" in found[0]
    lost = [number for number, line in enumerate(found) if "is never used" in line]
    named = [number for number, line in enumerate(found) if "tasks" in line]
    assert max(named) < min(lost)


def test_damaged_free_list_is_of_no_table(bundle: Bundle) -> None:
    (found,) = with_damage(bundle, "free list", (5).to_bytes(4, "big"))
    assert found.lower().removeprefix("main ").startswith("freelist: size is")
