"""`restore` puts a preserved state back completely or not at all, and keeps what it replaces."""

import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from abathur_schema.commands.tasks import run_restore
from tests.support import older
from tests.support.bundle import Bundle, reports
from tests.support.commands import Faulty, Invoke, no_trace
from tests.support.fingerprints import digests


def restore(bundle: Bundle, state: Path | str) -> int:
    return run_restore(str(state), str(bundle.path), str(bundle.reports), as_json=False)


@pytest.fixture
def upgraded(empty: Bundle) -> tuple[Bundle, Path]:
    """An upgraded database, and the copy kept from before."""
    older.make(empty.path, 1, extended=True)
    assert empty.run("init") == 0
    return empty, Path(empty.report()["copy_before"])


def test_copy_is_put_back_and_what_was_there_is_kept(
    upgraded: tuple[Bundle, Path], capsys: Any
) -> None:
    bundle, state = upgraded
    now = digests(bundle.path)
    copy = (state / "database.db").read_bytes()
    bundle.path.chmod(0o640)
    capsys.readouterr()
    assert restore(bundle, state) == 0
    assert bundle.path.read_bytes() == copy
    assert bundle.path.stat().st_mode & 0o777 == 0o640
    assert (state / "database.db").read_bytes() == copy
    report = bundle.report()
    replaced = Path(report["copy_before"])
    assert replaced.name.endswith("-restore-replaced")
    assert digests(replaced / "database.db") == now
    output = capsys.readouterr()
    assert output.err == ""
    assert "1 database put back" in output.out
    assert f"a copy of the previous state: {replaced}" in output.out
    assert report["deliverables"]["files_modified"] == [str(bundle.path)]
    assert report["steps"][0]["status"] == "changed"
    left = sorted(path.name for path in bundle.path.parent.iterdir())
    assert left == ["abathur.db", "reports"]


def test_there_and_back_again(upgraded: tuple[Bundle, Path]) -> None:
    bundle, state = upgraded
    now = digests(bundle.path)
    assert restore(bundle, state) == 0
    assert restore(bundle, bundle.report()["copy_before"]) == 0
    assert digests(bundle.path) == now
    assert bundle.run("verify") == 0


def test_verify_says_of_it_what_it_said_of_the_original(empty: Bundle) -> None:
    older.make(empty.path, 2, violating=True)
    assert empty.run("verify") == 1
    before = empty.failed()
    assert empty.run("init") == 1
    assert restore(empty, empty.report()["copy_before"]) == 0
    assert empty.run("verify") == 1
    assert empty.failed() == before


def test_state_of_a_failed_step_is_put_back(empty: Bundle) -> None:
    empty.sql("CREATE VIEW audit AS SELECT 1; CREATE TABLE mine (x); INSERT INTO mine VALUES (7)")
    assert empty.run("init") == 3
    state = empty.report()["failure"]["preserved_state"]
    empty.sql("DROP TABLE mine")
    assert restore(empty, state) == 0
    assert empty.rows("SELECT x FROM mine") == [(7,)]


def test_what_is_only_in_the_wal_of_the_old_one_is_kept(bundle: Bundle, tmp_path: Path) -> None:
    """And it is not applied to the new one."""
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(bundle.path, state / "database.db")
    writer = sqlite3.connect(bundle.path)
    writer.execute("INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'a', 'u')")
    writer.commit()
    wal = bundle.path.with_name("abathur.db-wal")
    files = {path: path.read_bytes() for path in (bundle.path, wal)}
    writer.close()
    for path, content in files.items():
        path.write_bytes(content)
    assert restore(bundle, state) == 0
    assert bundle.rows("SELECT count(*) FROM sessions") == [(0,)]
    kept = Bundle(tmp_path)
    kept.path = Path(bundle.report()["copy_before"]) / "database.db"
    assert kept.rows("SELECT id FROM sessions") == [("s",)]
    assert bundle.run("verify") == 0


def test_wal_beside_the_copy_is_taken_into_account(bundle: Bundle, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    writer = sqlite3.connect(bundle.path)
    writer.execute("INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'a', 'u')")
    writer.commit()
    for suffix in ("", "-wal"):
        shutil.copy(f"{bundle.path}{suffix}", state / f"database.db{suffix}")
    writer.execute("DELETE FROM sessions")
    writer.commit()
    writer.close()
    assert restore(bundle, state) == 0
    assert bundle.rows("SELECT id FROM sessions") == [("s",)]


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_refused_while_another_process_has_it_open(
    mode: str, upgraded: tuple[Bundle, Path], capsys: Any
) -> None:
    bundle, state = upgraded
    bundle.sql(f"PRAGMA journal_mode = {mode}")
    before = bundle.path.read_bytes()
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('SELECT count(*) FROM tasks').fetchall(); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(bundle.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout
        other.stdout.readline()
        count = len(reports(bundle.reports))
        assert restore(bundle, state) == 2
        error = capsys.readouterr().err
        assert f"another process has {bundle.path} open (process {other.pid} (" in error
        assert bundle.path.read_bytes() == before
        assert len(reports(bundle.reports)) == count
        other.communicate(b"\n")
    assert restore(bundle, state) == 0


def test_refused_while_this_process_has_it_locked(
    upgraded: tuple[Bundle, Path], capsys: Any
) -> None:
    """The system's list of open files does not show it; SQLite's lock does."""
    bundle, state = upgraded
    reader = sqlite3.connect(bundle.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM tasks").fetchall()
    started = time.monotonic()
    assert restore(bundle, state) == 2
    assert time.monotonic() - started < 15
    assert "another process has" in capsys.readouterr().err
    assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader.close()


def test_in_the_place_of_a_file_that_is_no_database(
    upgraded: tuple[Bundle, Path],
) -> None:
    bundle, state = upgraded
    bundle.path.write_bytes(b"damaged" * 1000)
    wal = bundle.path.with_name("abathur.db-wal")
    wal.write_bytes(b"something")
    assert restore(bundle, state) == 0
    assert bundle.path.read_bytes() == (state / "database.db").read_bytes()
    assert not wal.exists()
    kept = Path(bundle.report()["copy_before"])
    assert (kept / "database.db").read_bytes() == b"damaged" * 1000
    assert (kept / "database.db-wal").read_bytes() == b"something"


def test_to_a_place_where_nothing_is(upgraded: tuple[Bundle, Path], tmp_path: Path) -> None:
    bundle, state = upgraded
    bundle.path = tmp_path / "new.db"
    assert restore(bundle, state / "database.db") == 0
    assert bundle.path.read_bytes() == (state / "database.db").read_bytes()
    usual = tmp_path / "usual"
    usual.touch()
    assert bundle.path.stat().st_mode == usual.stat().st_mode
    report = bundle.report()
    assert report["copy_before"] is None
    assert report["deliverables"]["files_created"] == [str(bundle.path)]


WRONG = {
    "nothing": ("nowhere", "is not a preserved state: there is no"),
    "an empty path": ("", "is not a path of a preserved state"),
    "no state": ("reports", "Name the folder that a report calls"),
    "the database itself": ("itself", "is the database itself"),
    "damaged": ("damaged", "is damaged"),
    "no database": ("text", "is damaged (file is not a database)"),
    "none of ours": ("other", "is not one of ours"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_state_touches_nothing(
    case: str, bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    state, message = WRONG[case]
    for name in ("damaged", "text", "other", "itself"):
        (tmp_path / name).mkdir()
    content = bytearray(bundle.path.read_bytes())
    content[5000:9000] = bytes(4000)
    (tmp_path / "damaged" / "database.db").write_bytes(content)
    (tmp_path / "text" / "database.db").write_text("hello" * 1000)
    (tmp_path / "itself" / "database.db").symlink_to(bundle.path)
    other = sqlite3.connect(tmp_path / "other" / "database.db")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    before = bundle.path.read_bytes()
    files = sorted(path.name for path in tmp_path.rglob("*"))
    result = invoke("restore", state)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    no_trace(result)
    assert bundle.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.rglob("*")) == files
    assert bundle.rows("PRAGMA journal_mode") == [("wal",)]


def test_old_one_that_cannot_be_kept_is_not_replaced(
    upgraded: tuple[Bundle, Path], capsys: Any
) -> None:
    """Here because of a limit on the size of files that the process may write."""
    import resource

    bundle, state = upgraded
    connection = sqlite3.connect(bundle.path)
    connection.execute("CREATE TABLE large AS SELECT zeroblob(600000) AS x")
    connection.commit()
    connection.close()
    now = digests(bundle.path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        assert restore(bundle, state) == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no copy of the database could be kept in" in capsys.readouterr().err
    assert digests(bundle.path) == now
    assert bundle.rows("PRAGMA journal_mode") == [("wal",)]
    assert bundle.report()["failure"]["step"] == "restore"


FAILING_DISK = {
    "a full disk while the copy is checked": ("pwrite64:error=ENOSPC", 3),
    "files that cannot be removed": ("unlink:error=EIO", 3),
    "a folder that cannot be synced": ("fsync:error=EINVAL", 0),
}


@pytest.mark.parametrize("case", FAILING_DISK)
def test_disk_that_fails(
    case: str, upgraded: tuple[Bundle, Path], faulty: Faulty, tmp_path: Path
) -> None:
    """The copy is not blamed, and what is said of the database is true."""
    bundle, state = upgraded
    before = digests(bundle.path)
    fault, code = FAILING_DISK[case]
    on = tmp_path if code == 0 else None
    result, hits = faulty(fault, "restore", str(state), on=on)
    assert hits
    no_trace(result)
    assert result.returncode == code
    assert "is damaged" not in result.stderr
    assert digests(bundle.path) == (before if code else digests(state / "database.db"))
    stands = "remains as it was before" in bundle.report()["human_readable_summary"]
    assert stands == bool(code)
