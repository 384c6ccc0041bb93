"""A user who may not write, or may not even read."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.bundle import Bundle
from tests.support.commands import as_nobody, no_trace
from tests.support.machine import needs_root


@needs_root
class TestAnotherUser:
    def test_read_only_file_and_folder(self, shared: Path) -> None:
        sqlite3.connect(shared / "a.db").close()
        (shared / "a.db").touch()
        result = as_nobody("init", "-d", "a.db", "-r", "out", cwd=shared)
        assert result.returncode == 3
        assert "may not write the database file or its folder" in result.stderr
        no_trace(result)
        assert (shared / "a.db").read_bytes() == b""

    def test_new_file_in_a_read_only_folder(self, shared: Path) -> None:
        result = as_nobody("init", "-d", "new.db", "-r", "out", cwd=shared)
        assert result.returncode == 3
        assert "Permission denied" in result.stderr
        no_trace(result)
        assert not (shared / "new.db").exists()

    @pytest.mark.parametrize("task", ["verify", "plan"])
    def test_reading_without_the_right_to_write_leaves_nothing(
        self, task: str, shared: Path
    ) -> None:
        """Even if this user may create files beside the database: its owner could not use them."""
        bundle = Bundle(shared)
        assert bundle.run("init") == 0
        for mode in (0o755, 0o777):
            shared.chmod(mode)
            result = as_nobody(task, "-r", "out", cwd=shared)
            assert (result.returncode, result.stderr) == (0, "")
            assert not list(shared.glob("abathur.db-*"))

    def test_verify_of_a_database_that_its_owner_writes(self, shared: Path) -> None:
        bundle = Bundle(shared)
        assert bundle.run("init") == 0
        shared.chmod(0o777)
        with closing(sqlite3.connect(bundle.path, isolation_level=None)) as owner:
            owner.execute("INSERT INTO metrics VALUES (1, 't', 'm', -0.0, NULL)")
            owner.execute("PRAGMA ignore_check_constraints = ON")
            owner.execute("INSERT INTO metrics VALUES (2, 't', 'm', -1, NULL)")
            assert as_nobody("verify", "-r", "out", cwd=shared).returncode == 1  # it is in the -wal
            owner.execute("DELETE FROM metrics")
        assert as_nobody("verify", "-r", "out", cwd=shared).returncode == 0
        assert not list(shared.glob("abathur.db-*"))

    def test_verify_of_what_only_its_owner_can_put_together(self, shared: Path) -> None:
        """The application was killed. Reading its -wal needs a -shm that its owner can use, too."""
        bundle = Bundle(shared)
        assert bundle.run("init") == 0
        with closing(sqlite3.connect(bundle.path)) as owner:
            owner.execute("INSERT INTO metrics VALUES (1, 't', 'm', 1, NULL)")
            owner.commit()
            for suffix in ("", "-wal"):
                shutil.copy(f"{bundle.path}{suffix}", shared / f"left.db{suffix}")
        shared.chmod(0o777)
        result = as_nobody("verify", "-d", "left.db", "-r", "out", cwd=shared)
        assert not (shared / "left.db-shm").exists()
        assert result.returncode == 2
        assert "this user may not" in result.stderr
        assert "Nothing is known about it" in result.stderr

    def test_file_that_may_not_be_read(self, shared: Path) -> None:
        (shared / "a.db").touch(mode=0o600)
        result = as_nobody("verify", "-d", "a.db", "-r", "out", cwd=shared)
        assert (result.returncode, "may not be read" in result.stderr) == (2, True)

    def test_reports_that_may_not_be_written(self, shared: Path) -> None:
        result = as_nobody("init", "-d", "out/a.db", "-r", "reports", cwd=shared)
        assert result.returncode == 2
        assert "reports cannot be written to" in result.stderr
        assert "nothing was touched" in result.stderr
        assert not (shared / "out" / "a.db").exists()


def test_cause_is_not_read_from_a_path(shared: Path) -> None:
    folder = shared / "database is locked, malformed"
    folder.mkdir()
    result = as_nobody("init", "-d", str(folder / "a.db"), "-r", "out", cwd=shared)
    assert result.returncode == 3
    assert "likely cause: this user may not write there" in result.stderr
