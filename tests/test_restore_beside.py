"""`restore` beside others: a writer at that moment, a mounted file, a foreign collation."""

import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema.commands.tasks import run_restore
from tests.support.bundle import Bundle
from tests.support.machine import needs_root

WRITER = """
import glob, sqlite3, sys, time
database, reports, mode, delay, name = sys.argv[1:]
end = time.monotonic() + 10
while not glob.glob(f"{reports}/*-replaced/database.db") and time.monotonic() < end:
    pass
time.sleep(float(delay))
connection = sqlite3.connect(database)
try:
    if mode == "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(
        "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('t', ?, 1)", (name,)
    )
    connection.commit()
    print("written")
except sqlite3.OperationalError as error:
    print(error)
connection.close()
"""
"""A program that writes one row as soon as the old file has been copied."""


def race(bundle: Bundle, state: Path, number: int) -> str:
    """What a writer reports that comes between the copy of the old file and the rename; what it was
    told has been checked to be true.
    """
    reports, name = bundle.path.parent / f"reports-{number}", f"writer {number}"
    mode, delay = ("wal", "")[number % 2], str((0, 0.0005, 0.001, 0.002)[number % 4])
    arguments = [str(bundle.path), str(reports), mode, delay, name]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
    ) as writer:
        time.sleep(0.04)  # until it looks
        code = run_restore(str(state), str(bundle.path), str(reports), as_json=True)
        said = writer.communicate()[0].strip()
    assert code in (0, 2)  # 2: it was faster than the lock
    found = []
    for path in (bundle.path, *reports.glob("*-replaced/database.db")):
        with closing(sqlite3.connect(path)) as connection:
            count = "SELECT count(*) FROM metrics WHERE metric_name = ?"
            found.append(connection.execute(count, (name,)).fetchone()[0])
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert (said == "written") == any(found), (said, found)
    shutil.rmtree(reports)
    return f"exit {code}, {said}"


def races(bundle: Bundle, tmp_path: Path, number: int) -> Counter[str]:
    state = tmp_path / "state"
    state.mkdir()
    bundle.sql(f"VACUUM INTO '{state / 'database.db'}'")
    return Counter(race(bundle, state, each) for each in range(number))


def test_writer_between_copy_and_rename_loses_nothing(bundle: Bundle, tmp_path: Path) -> None:
    ended = races(bundle, tmp_path, 12)
    assert set(ended) <= {
        "exit 0, written",
        "exit 0, attempt to write a readonly database",
        "exit 2, written",
    }


@pytest.mark.faults
def test_a_thousand_writers_between_copy_and_rename(
    bundle: Bundle, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ended = races(bundle, tmp_path, 1000)
    record_property("faults", ("a writer between the copy and the rename of restore", dict(ended)))


@needs_root
def test_file_that_is_a_mount_of_its_own_is_recognized(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    bundle.sql(f"VACUUM INTO '{state / 'database.db'}'")
    mounted = tmp_path / "given, a file.db"
    mounted.touch()
    mount = ["mount", "--bind", str(bundle.path), str(mounted)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        before = bundle.path.read_bytes()
        assert run_restore(str(state), str(mounted), str(bundle.reports), as_json=False) == 2
        assert "is itself a mount point" in capsys.readouterr().err
        assert bundle.path.read_bytes() == before
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_copy_that_only_its_application_can_prove_is_put_back(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(bundle.path, isolation_level=None)) as application:
        application.create_collation("icu_de", lambda a, b: (a > b) - (a < b))
        application.create_function("mine", 1, str, deterministic=True)
        application.execute("CREATE TABLE people (name TEXT COLLATE icu_de UNIQUE)")
        application.execute("CREATE INDEX by_mine ON people(mine(name))")
        application.execute("INSERT INTO people VALUES ('b'), ('a')")
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(bundle.path, state / "database.db")
    assert run_restore(str(state), str(bundle.path), str(bundle.reports), as_json=False) == 0
    assert "only the application can prove" in capsys.readouterr().err
