"""A disk that is full or fails, and a file system that cannot do WAL."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundle import Bundle, reports
from tests.support.commands import Faulty, Invoke, no_trace, run
from tests.support.machine import disk_of, needs_root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for little."""
    with disk_of(100 * 1024, tmp_path / "disk") as folder:
        yield folder


@needs_root
class TestFullDisk:
    def test_reports_elsewhere(self, small_disk: Path, invoke: Invoke, tmp_path: Path) -> None:
        result = invoke("init", "-d", str(small_disk / "a.db"))
        assert result.returncode == 3
        assert "the disk that holds the database is full" in result.stderr
        no_trace(result)
        (report,) = reports(tmp_path / "reports")
        assert report["failure"]["preserved_state"]
        state = Path(report["failure"]["preserved_state"])
        text = (state / "statements.sql").read_text("utf-8")
        assert "-- >>> THIS STATEMENT FAILED: database or disk is full" in text
        assert report["failure"]["statement"] in text
        assert "remains as" in report["human_readable_summary"]

    def test_reports_on_the_same_disk(self, small_disk: Path, invoke: Invoke) -> None:
        result = invoke("init", "-d", str(small_disk / "a.db"), "-r", str(small_disk / "reports"))
        assert result.returncode == 3
        no_trace(result)
        (report,) = reports(small_disk / "reports")
        assert report["failure"]["not_preserved"]
        assert "not preserved: " in result.stderr
        kept = report["failure"]["preserved_state"]
        assert ("state preserved in" in result.stderr) == bool(kept)
        assert kept is None or list(Path(kept).iterdir())
        assert "remains as" in report["human_readable_summary"]

    def test_no_room_for_a_report(self, small_disk: Path, invoke: Invoke, tmp_path: Path) -> None:
        (small_disk / "filler").write_bytes(bytes(80 * 1024))
        result = invoke("init", "-r", str(small_disk / "reports"))
        assert result.returncode == 2
        assert "No space left on device" in result.stderr
        assert not (tmp_path / "abathur.db").exists()
        assert not (small_disk / "reports").exists()


FAULTS = {
    "the disk fills up": ("pwrite64:error=ENOSPC:when=30+", "the disk that holds the database is"),
    "a write fails": ("pwrite64:error=EIO:when=6+", "the disk or the file system failed"),
    "a sync fails": ("fdatasync:error=EIO:when=2+", "the disk or the file system failed"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_disk_that_fails_while_init_works(case: str, faulty: Faulty, tmp_path: Path) -> None:
    fault, message = FAULTS[case]
    result, hits = faulty(fault, "init")
    assert hits
    no_trace(result)
    (report,) = reports(tmp_path / "reports")
    assert result.returncode == 3
    assert message in result.stderr
    assert report["failure"]["preserved_state"]
    assert report["failure"]["step"] in result.stderr
    bundle = Bundle(tmp_path)
    assert bundle.rows("PRAGMA integrity_check") == [("ok",)]
    done = [step["name"] for step in report["steps"] if step["status"] == "changed"]
    assert bundle.run("init") == 0
    again = [step["name"] for step in bundle.report()["steps"] if step["status"] == "changed"]
    assert not set(done) & set(again)


def test_database_that_cannot_be_read_at_all(faulty: Faulty, tmp_path: Path) -> None:
    """Not as a database, and not byte for byte: the report says so."""
    Bundle(tmp_path).sql("CREATE TABLE mine (x)")
    path = tmp_path / "abathur.db"
    result, hits = faulty("pread64,read:error=EIO", "init", on=path)
    assert hits
    assert result.returncode == 3
    no_trace(result)
    (report,) = reports(tmp_path / "reports")
    assert report["failure"]["not_preserved"][0].startswith("database.db: ")
    assert report["execution_status"]["completion"] is None
    assert (Path(report["failure"]["preserved_state"]) / "escalation.md").exists()


WITHOUT_WAL = """
import ctypes, sqlite3, sys

library = ctypes.CDLL("libsqlite3.so.0")
library.sqlite3_vfs_find.restype = ctypes.c_void_p
library.sqlite3_vfs_register.argtypes = [ctypes.c_void_p, ctypes.c_int]
library.sqlite3_vfs_register(library.sqlite3_vfs_find(b"unix-dotfile"), 1)

from abathur_schema.commands.tasks import run_task

sys.exit(run_task("init", "abathur.db", "reports", as_json=False))
"""


def test_file_system_without_wal(tmp_path: Path) -> None:
    """SQLite's unix-dotfile locking has no shared memory, like network file systems."""
    result = run([sys.executable, "-c", WITHOUT_WAL], tmp_path)
    if "libsqlite3.so.0" in result.stderr:
        pytest.skip("this Python's SQLite is not a shared library")
    assert result.returncode == 3
    assert "journal_mode stays delete after PRAGMA journal_mode = WAL" in result.stderr
    assert "the file system does not support WAL" in result.stderr
    assert "put the database on a local disk" in result.stderr
    no_trace(result)
