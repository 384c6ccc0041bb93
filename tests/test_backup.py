"""`backup`: consistent, while others write, checked, and what `restore` takes."""

import json
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.bundle import Bundle
from tests.support.commands import Invoke, environment, invoke_command, no_trace, run
from tests.support.everything import everything
from tests.support.fingerprints import digests, files_below
from tests.support.kept import differences
from tests.support.machine import disk_of, needs_root

METRIC = "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('', 'm', 1)"
FILL = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
    " INSERT INTO metrics (timestamp, metric_name, metric_value, labels)"
    " SELECT '', 'm' || i, i, hex(randomblob(200)) FROM n"
)
WRITE = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
print("ready", flush=True)
longest = 0.0
for number in range(100_000):
    started = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    longest = max(longest, time.perf_counter() - started)  # for the lock, not for the disk
    connection.execute("INSERT INTO sessions (id, app_name, user_id) VALUES (?, 'a', 'u')",
                       (f"s{number}",))
    connection.execute("INSERT INTO metrics (timestamp, metric_name, metric_value)"
                       " VALUES ('', 'written', ?)", (number,))
    connection.execute("COMMIT")
    print(number, round(longest, 3), flush=True)
"""


def states(bundle: Bundle) -> list[Path]:
    return sorted(path for path in bundle.reports.iterdir() if path.is_dir())


@contextmanager
def writing(database: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that commits a row in each of two tables, again and again."""
    command = [sys.executable, "-c", WRITE, str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_backup_is_the_database_and_restore_takes_it(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(METRIC)
    before = everything(bundle.path)
    result = invoke("backup")
    assert (result.returncode, result.stderr) == (0, "")
    assert "checks of it passed" in result.stdout
    (state,) = states(bundle)
    assert differences(before, everything(state / "database.db")) == []
    assert {path.name for path in state.iterdir()} <= {
        *("database.db", "report.json", "database.db-shm", "database.db-wal"),
    }
    for path in (state / "database.db", state / "report.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    report = bundle.report()
    assert report["copy_before"] == str(state)
    assert report["deliverables"]["files_modified"] == []
    assert {check["kind"] for check in report["checks"]} == {"holds"}
    bundle.sql("DELETE FROM metrics")
    assert invoke("restore", str(state)).returncode == 0
    assert differences(before, everything(bundle.path)) == []


def test_consistent_while_others_write_and_nobody_waits(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(FILL.format(100_000))
    with writing(bundle.path) as writer:
        assert writer.stdout
        writer.stdout.readline()
        result = invoke("backup", "--no-check-copy")
        assert result.returncode == 0, result.stderr
        writer.kill()
        _, longest = writer.stdout.read().splitlines()[-2].split()
    assert float(longest) < 0.5
    (state,) = states(bundle)
    with closing(sqlite3.connect(state / "database.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        sessions = copy.execute("SELECT count(*) FROM sessions").fetchone()[0]
        of_them = "metric_name = 'written'"
        last, number = copy.execute(
            f"SELECT max(metric_value), count(*) FROM metrics WHERE {of_them}"
        ).fetchone()
    assert 0 < sessions == number == last + 1


def test_plain_file_and_another_folder(bundle: Bundle, invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("backup", "--file", "copy.db").returncode == 0
    assert differences(everything(bundle.path), everything(tmp_path / "copy.db")) == []
    assert str(tmp_path / "copy.db") in bundle.report()["deliverables"]["files_created"]
    assert invoke("backup", "kept/here").returncode == 0
    (state,) = (tmp_path / "kept" / "here").iterdir()
    assert (state / "database.db").is_file()
    assert states(bundle) == []
    assert invoke("backup", ".").returncode == 0
    (beside,) = tmp_path.glob("*-backup/database.db")
    assert differences(everything(bundle.path), everything(beside)) == []
    failed = invoke("backup", "abathur.db")
    assert failed.returncode == 3
    assert "name another folder (`invoke backup FOLDER --database " in failed.stderr


def test_keep_removes_only_older_backups_of_this_database(
    bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    assert invoke("init", "-d", "other.db").returncode == 0
    assert invoke("backup", "-d", "other.db").returncode == 0
    (others,) = states(bundle)
    assert invoke("backup").returncode == 0
    annotated = states(bundle)[-1]
    (annotated / "notes.txt").write_text("keep this one")
    empty = bundle.reports / "20200101T000000.000000Z-backup"
    empty.mkdir()
    for _ in range(3):
        assert invoke("backup").returncode == 0
    newest = states(bundle)[-1]
    result = invoke("backup", "--keep", "2")
    assert result.returncode == 0
    assert "notes.txt" in result.stderr
    assert states(bundle) == [empty, others, annotated, newest, states(bundle)[-1]]
    with_report = [path.name for path in tmp_path.glob("reports/*-backup.json")]
    assert len(with_report) == 6


def test_keep_never_removes_the_new_one(bundle: Bundle, invoke: Invoke) -> None:
    """Also when the clock was set back, so that an older one has a later name."""
    assert invoke("backup").returncode == 0
    (first,) = states(bundle)
    later = first.rename(first.with_name("20990101T000000.000000Z-backup"))
    assert invoke("backup", "--keep", "2").returncode == 0
    new = Path(bundle.report()["copy_before"])
    assert states(bundle) == [new, later]
    assert invoke("backup", "--keep", "1").returncode == 0
    assert states(bundle) == [Path(bundle.report()["copy_before"])]


def test_older_one_that_cannot_be_removed_stays_whole(
    bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    """It is told, and removed by a later run; what a link leads to is nobody's to remove."""
    assert invoke("backup", "kept").returncode == 0
    (older,) = (tmp_path / "kept").iterdir()
    with not_removable(older / "database.db"):
        result = invoke("backup", "kept", "--keep", "1")
    assert (result.returncode, f"note: {older} stays" in result.stderr) == (0, True)
    no_trace(result)
    assert {path.name for path in older.iterdir()} == {"database.db", "report.json"}
    assert invoke("backup", "kept", "--keep", "1").returncode == 0
    (newest,) = (tmp_path / "kept").iterdir()
    moved = newest.rename(tmp_path / newest.name)
    newest.symlink_to(moved)
    assert invoke("backup", "kept", "--keep", "1").returncode == 0
    assert newest.is_symlink()
    assert (moved / "database.db").is_file()


@contextmanager
def not_removable(path: Path) -> Iterator[None]:
    """A file that not even root can remove."""
    if subprocess.run(["chattr", "+i", path], check=False).returncode:
        pytest.skip("this file system cannot protect a file")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


def test_damage_is_found_and_nothing_older_removed(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(FILL.format(2000))
    assert invoke("backup").returncode == 0
    (page,) = bundle.rows(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'idx_metrics_name_timestamp'"
    )[0]
    with bundle.path.open("r+b") as file:
        file.seek(page * 4096 - 400)
        file.write(b"\xff" * 390)
    result = invoke("backup", "--keep", "1")
    assert result.returncode == 1
    assert "fail: integrity_check" in result.stdout
    assert len(states(bundle)) == 2


def test_interrupted_backup_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql(FILL.format(150_000))
    before = digests(bundle.path)
    process = subprocess.Popen(
        invoke_command("backup"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not [*bundle.reports.glob("*-backup/.database.db.*.tmp")] and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode in (130, 0)
    assert "Traceback" not in error
    if process.returncode:
        assert states(bundle) == []
        assert bundle.report()["failure"]["error"].startswith("interrupted")
    assert digests(bundle.path) == before


@needs_root
def test_full_disk_is_told_and_leaves_no_half_copy(bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql(FILL.format(5000))
    with disk_of(500_000, tmp_path / "disk") as disk:
        result = run(invoke_command("backup", str(disk)), tmp_path)
        assert result.returncode == 3
        assert "what to do: " in result.stderr
        assert "Traceback" not in result.stderr
        assert not [path for path in disk.rglob("*") if path.is_file()]
        assert bundle.report()["failure"]["preserved_state"] is None


def test_rehearsal_proves_and_touches_nothing(bundle: Bundle, invoke: Invoke) -> None:
    assert invoke("backup").returncode == 0
    (state,) = states(bundle)
    bundle.sql(METRIC)
    before = digests(bundle.path)
    with closing(sqlite3.connect(bundle.path)) as other:
        other.execute("SELECT * FROM tasks").fetchall()
        command = [sys.executable, "-c", f"open({str(bundle.path)!r}); input()"]
        command[2] = f"file = open({str(bundle.path)!r}); print(1, flush=True); input()"
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as holder:
            assert holder.stdout
            holder.stdout.readline()
            result = invoke("restore", "--rehearse", str(state))
            holder.kill()
    assert result.returncode == 0
    assert "a rehearsal: the state is intact" in result.stderr
    assert "first stop process " in result.stderr
    assert f"process {holder.pid} (" in result.stderr
    assert digests(bundle.path) == before
    assert bundle.report()["orchestration_context"]["context_for_next_agent"]["schema_complete"]
    assert not [*bundle.path.parent.glob(".*")]
    assert len(states(bundle)) == 1
    with (state / "database.db").open("r+b") as file:
        file.seek(5000)
        file.write(bytes(4000))
    assert invoke("restore", "--rehearse", str(state)).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--database", "gone.db"), "there is no database"),
        (("--keep", "some"), "is not a number of backups"),
        (("--keep", "0"), "is not a number of backups"),
        (("--file", "abathur.db"), "is there already"),
        (("--file", "there.db"), "is there already"),
        (("--file", "abathur.db-journal"), "is a name that SQLite uses beside"),
        (("--file", "abathur.db-wal"), "is a name that SQLite uses beside"),
        (("folder", "--file", "new.db"), "not both"),
        (("--file", "new.db", "--keep", "2"), "Leave out --keep"),
    ],
)
def test_wrong_input_touches_nothing(
    arguments: tuple[str, ...], says: str, bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "there.db").write_text("mine")
    before = files_below(tmp_path)
    result = invoke("backup", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert files_below(tmp_path) == before


def test_backup_of_a_database_that_was_never_ours(empty: Bundle, invoke: Invoke) -> None:
    empty.sql("CREATE TABLE birds (name); INSERT INTO birds VALUES ('wren')")
    result = invoke("backup", "--json")
    assert result.returncode == 0, result.stderr
    state = Path(json.loads(result.stdout)["copy_before"])
    with closing(sqlite3.connect(state / "database.db")) as copy:
        assert copy.execute("SELECT * FROM birds").fetchall() == [("wren",)]
    shutil.rmtree(state)
