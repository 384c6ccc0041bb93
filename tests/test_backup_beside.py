"""`backup` beside others: without a lock, after a killed run, with other people's files."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema.commands import operation
from abathur_schema.commands.operation import run_backup
from abathur_schema.commands.tasks import end
from abathur_schema.declared.declaration import declared
from abathur_schema.errors import Interrupted
from abathur_schema.record.draft import Draft
from abathur_schema.record.run import Run
from abathur_schema.storage import kept
from abathur_schema.upkeep import backup
from tests.support.bundle import Bundle
from tests.support.commands import Invoke

PAIR = "CREATE TABLE pair (id INTEGER PRIMARY KEY, n INTEGER, filling BLOB)"


@pytest.fixture
def not_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database belongs to somebody else, as far as SQLite's files beside it matter."""
    other = os.getuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)


@pytest.mark.usefixtures("not_the_owner")
def test_who_reads_without_a_lock_copies_one_state(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A transaction that changes the first and the last page while they are copied is in the copy
    whole, or not at all.
    """
    bundle.sql(PAIR)
    bundle.sql("INSERT INTO pair VALUES (1, 0, zeroblob(2)), (2, 0, zeroblob(800000)), (3, 0, '')")
    monkeypatch.setattr(kept, "PAGES", 60)
    written: list[int] = []

    def write_once(_: int, left: int, __: int) -> None:
        if left and not written:
            written.append(left)
            bundle.sql("UPDATE pair SET n = 1")

    kept.back_up(bundle.path, tmp_path / "copy.db", declared().settings, write_once)
    assert written
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT DISTINCT n FROM pair").fetchall() == [(1,)]
    assert not [*tmp_path.glob(".copy.db*")]


@pytest.mark.usefixtures("not_the_owner")
def test_who_does_not_own_it_leaves_no_files_beside_it(bundle: Bundle) -> None:
    """They would belong to this user, and keep the owner from writing."""
    bundle.sql("VACUUM")
    assert not [*bundle.path.parent.glob("abathur.db-*")]
    assert bundle.run("verify") == 0
    assert not [*bundle.path.parent.glob("abathur.db-*")]


def test_what_a_killed_backup_left_is_not_in_the_way(
    bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    left = tmp_path / f".copy.db.{gone.pid}.tmp"
    others = tmp_path / f".copy.db.{os.getpid()}.tmp"
    for path in (left, left.with_name(f"{left.name}-journal"), others):
        path.write_bytes(b"half")
    result = invoke("backup", "--file", "copy.db")
    assert result.returncode == 0, result.stderr
    assert [*tmp_path.glob(".copy.db*")] == [others]
    assert (tmp_path / "copy.db").exists()


def test_of_two_at_once_neither_removes_that_of_the_other(
    bundle: Bundle, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_backup(None, str(bundle.path), str(bundle.reports), as_json=False) == 0
    paths = str(bundle.path), str(bundle.reports)
    codes = []

    def end_after_another(run: Run, draft: Draft, *, as_json: bool) -> int:
        monkeypatch.setattr(operation, "end", end)
        codes.append(invoke("backup", "--keep", "1").returncode)
        return end(run, draft, as_json=as_json)

    monkeypatch.setattr(operation, "end", end_after_another)
    codes.append(run_backup(None, *paths, as_json=False, keep="1"))
    assert codes == [0, 0]
    assert len([*bundle.reports.glob("*-backup")]) == 2
    assert run_backup(None, *paths, as_json=False, keep="1") == 0
    assert len([*bundle.reports.glob("*-backup")]) == 1


@pytest.mark.parametrize("as_file", [False, True], ids=["folder", "file"])
@pytest.mark.parametrize("other", [False, True], ids=["alone", "with another"])
def test_interrupted_check_removes_only_its_own(
    *, as_file: bool, other: bool, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stopped(*_: object) -> None:
        if other:
            (tmp_path / "new" / "others.txt").write_text("of another backup")
        raise Interrupted(2)

    monkeypatch.setattr(backup, "verify", stopped)
    new, paths = tmp_path / "new", (str(bundle.path), str(bundle.reports))
    folder, file = (None, str(new / "c.db")) if as_file else (str(new), None)
    assert run_backup(folder, *paths, as_json=False, file=file) == 130
    found = sorted(path.name for path in tmp_path.glob("new/**/*"))
    assert (found, (tmp_path / "new").exists()) == (["others.txt"] if other else [], other)
    assert bundle.report()["failure"]["error"].startswith("interrupted")
