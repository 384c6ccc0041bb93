"""`restore` where users found it wrong: locked files, rows that break constraints, lost files."""

import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from abathur_schema.commands.operation import run_backup
from abathur_schema.commands.tasks import run_restore
from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import Faulty, no_trace
from tests.support.machine import disk_of, needs_root


def restore(bundle: Bundle, state: Path) -> int:
    return run_restore(str(state), str(bundle.path), str(bundle.reports), as_json=False)


@pytest.fixture
def upgraded(empty: Bundle) -> tuple[Bundle, Path]:
    """An upgraded database, and the copy kept from before."""
    older.make(empty.path, 1)
    assert empty.run("init") == 0
    return empty, Path(empty.report()["copy_before"])


def test_refused_while_it_is_locked_against_everybody(
    upgraded: tuple[Bundle, Path], capsys: Any
) -> None:
    """What is locked may be a database, though nothing of it can be read: such as by a process that
    this one cannot see, in another container.
    """
    bundle, state = upgraded
    owner = sqlite3.connect(bundle.path, isolation_level=None)
    owner.execute("PRAGMA locking_mode = EXCLUSIVE")
    owner.execute("CREATE TABLE mine (x)")
    assert restore(bundle, state) == 2
    assert "another process has" in capsys.readouterr().err
    owner.execute("INSERT INTO mine VALUES (1)")
    owner.close()
    assert bundle.rows("SELECT x FROM mine") == [(1,)]


def test_state_whose_rows_break_constraints_is_put_back(empty: Bundle, capsys: Any) -> None:
    """Time alone can make a row break a CHECK, and an edit of the schema's text a NOT NULL."""
    assert empty.run("init") == 0
    empty.sql(
        "CREATE TABLE leases (until TEXT CHECK (until > CURRENT_TIMESTAMP), by TEXT);"
        "PRAGMA ignore_check_constraints = ON; INSERT INTO leases VALUES ('2000-01-01', NULL);"
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = replace(sql, 'by TEXT', 'by TEXT NOT NULL')"
        " WHERE name = 'leases'"
    )
    assert run_backup(None, str(empty.path), str(empty.reports), as_json=False, check=False) == 0
    state = Path(empty.report()["copy_before"])
    empty.sql("DROP TABLE leases")
    assert restore(empty, state) == 0
    assert "as the state was: NULL value in leases.by" in capsys.readouterr().err
    assert empty.rows("SELECT until FROM leases") == [("2000-01-01",)]


def test_log_that_is_left_of_a_lost_file_is_kept(upgraded: tuple[Bundle, Path]) -> None:
    """It may have the last writes."""
    bundle, state = upgraded
    log = bundle.path.with_name("abathur.db-wal")
    log.write_bytes(b"the last writes")
    bundle.path.unlink()
    assert restore(bundle, state) == 0
    assert not log.exists()
    kept = Path(bundle.report()["copy_before"])
    assert (kept / "database.db-wal").read_bytes() == b"the last writes"
    assert bundle.rows("SELECT count(*) FROM audit") != [(0,)]


def test_rehearsal_that_fails_keeps_nothing(upgraded: tuple[Bundle, Path], faulty: Faulty) -> None:
    bundle, state = upgraded
    before = [path.name for path in bundle.reports.iterdir() if path.is_dir()]
    result, hits = faulty("fsync:error=ENOSPC:when=1", "restore", "--rehearse", str(state))
    assert hits
    assert result.returncode == 3
    assert "likely cause: the disk that holds the database is full" in result.stderr
    assert [path.name for path in bundle.reports.iterdir() if path.is_dir()] == before


@needs_root
def test_read_only_file_system_is_named(
    upgraded: tuple[Bundle, Path], tmp_path: Path, capsys: Any
) -> None:
    bundle, state = upgraded
    with disk_of(4_000_000, tmp_path / "disk") as disk:
        bundle.path = Path(shutil.copy(bundle.path, disk))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert restore(bundle, state) == 2
    assert "is on a file system that is mounted read-only" in capsys.readouterr().err


def test_killed_before_the_first_name_is_gone(
    upgraded: tuple[Bundle, Path], faulty: Faulty, tmp_path: Path
) -> None:
    """Then the new database has two names, and the hidden one is in nobody's way."""
    bundle, state = upgraded
    bundle.path = tmp_path / "new.db"
    kill = "link,linkat:signal=KILL"
    result, _ = faulty(kill, "restore", str(state), "-d", "new.db")
    assert result.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob(".new.db.restore-*.tmp")
    if not bundle.path.exists():  # killed before, not after, the call
        os.link(left, bundle.path)
    assert restore(bundle, state) == 0
    assert not [*tmp_path.glob(".new.db*")]


def test_database_that_is_made_meanwhile_is_left_alone(
    upgraded: tuple[Bundle, Path], faulty: Faulty, tmp_path: Path
) -> None:
    _, state = upgraded
    result, hits = faulty("link,linkat:error=EEXIST", "restore", str(state), "-d", "new.db")
    assert hits
    assert result.returncode == 2
    assert "somebody else has just made" in result.stderr
    no_trace(result)
    assert not [*tmp_path.glob("*new.db*")]
