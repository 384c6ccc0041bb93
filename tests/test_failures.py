"""The failures that users meet, each made for real: message, exit code, and what was touched."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import (
    INVOKE_INIT,
    Bundle,
    Faulty,
    Invoke,
    as_nobody,
    disk_of,
    environment,
    in_shell,
    invoke_command,
    needs_root,
    reports,
    run,
)


def digest(folder: Path) -> dict[str, str]:
    """The content of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def no_trace(result: subprocess.CompletedProcess[str]) -> None:
    """No stack trace reaches the terminal."""
    assert "Traceback" not in result.stdout + result.stderr


WRONG_INPUT = {
    "a folder": ("init", ["-d", "folder"], "is a folder. Name a file"),
    "a folder, to verify": ("verify", ["-d", "folder"], "is a folder. Name a file"),
    "no file": ("verify", [], "there is no database at"),
    "no folder": ("verify", ["-d", "nowhere/a.db"], "Run `invoke init` first"),
    "no file for a step": ("core", [], "Run `invoke pragma` first"),
    "below a file": ("init", ["-d", "text.txt/a.db"], "Not a directory"),
    "in memory": ("init", ["-d", ":memory:"], "would be gone when this command ends"),
    "an empty path": ("init", ["-d", ""], "is no path for the database"),
    "a device": ("init", ["-d", "/dev/null"], "is not a regular file"),
    "a link to nothing": ("init", ["-d", "dangling.db"], "is a link to a file that does not"),
    "a path that is too long": ("init", ["-d", "x" * 300], "File name too long"),
    "an unknown option": ("init", ["--force"], "No idea what '--force' is!"),
    "an unknown task": ("initialise", [], "No idea what 'initialise' is!"),
    "an option without its value": ("init", ["-d"], "needed value and was not given one"),
    "reports in an empty path": ("init", ["-r", ""], "is no path for the reports"),
    "reports where the database is to be": ("init", ["-r", "abathur.db"], "in the place of the"),
    "reports in the place of the -wal": ("init", ["-r", "abathur.db-wal"], "in the place of the"),
    "reports below the database": ("init", ["-r", "abathur.db/r"], "in the place of the database"),
    "reports that are a file": ("init", ["-r", "text.txt"], "reports cannot be written to"),
}


@pytest.mark.parametrize("case", WRONG_INPUT)
def test_wrong_input_touches_nothing(case: str, invoke: Invoke, tmp_path: Path) -> None:
    task, options, message = WRONG_INPUT[case]
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "dangling.db").symlink_to("nothing")
    before = digest(tmp_path)
    result = invoke(task, *options)
    assert result.returncode == 2
    assert message in result.stderr
    no_trace(result)
    assert digest(tmp_path) == before
    assert not (tmp_path / "reports").exists()


def test_wrong_option_tells_where_to_look(invoke: Invoke) -> None:
    error = invoke("init", "--force").stderr
    assert error == (
        "No idea what '--force' is! `invoke --list` shows the tasks,"
        " `invoke --help TASK` options.\n"
    )


def test_configuration_that_cannot_be_read(
    checkout: Path, invoke_in: Invoke, tmp_path: Path
) -> None:
    for text in ("database: [a\n", "- a\n- b\n"):
        (checkout / "invoke.yaml").write_text(text)
        result = invoke_in("init")
        assert (result.returncode, result.stdout) == (2, "")
        assert "Invoke's configuration cannot be read. Mend it:" in result.stderr
        no_trace(result)
        assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


WRONG_CONFIGURATION = {
    'database: "a\\uD800.db"\n': "is no path for the database",
    "database:\n": "None is no path for the database",
    "database: [a, b]\n": "['a', 'b'] is no path for the database",
    "reports: 7\n": "7 is no path for the reports",
}


@pytest.mark.parametrize("text", WRONG_CONFIGURATION)
def test_wrong_configuration(text: str, checkout: Path, invoke_in: Invoke, tmp_path: Path) -> None:
    (checkout / "invoke.yaml").write_text(text)
    result = invoke_in("init")
    assert result.returncode == 2
    assert WRONG_CONFIGURATION[text] in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_working_directory_that_is_gone(tmp_path: Path) -> None:
    result = in_shell(f"mkdir gone; cd gone; rmdir ../gone; {INVOKE_INIT}", tmp_path)
    assert result.returncode == 2
    assert "the working directory is gone" in result.stderr
    no_trace(result)


def test_fifo_is_refused_and_not_opened(invoke: Invoke, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = invoke("init", "-d", "pipe")
    assert (result.returncode, "not a regular file" in result.stderr) == (2, True)


ORDER = {
    "core-indexes": ("pragma", "core"),
    "memory-indexes": ("pragma", "memory", "core"),
    "core": ("pragma",),
    "memory": ("pragma",),
}


@pytest.mark.parametrize("step", ORDER)
def test_step_says_which_step_comes_first(step: str, empty: Bundle, capsys: Any) -> None:
    empty.path.touch()
    for needed in ORDER[step]:
        before = empty.path.read_bytes()
        assert empty.run(step) == 2
        assert f"Run `invoke {needed}` first" in capsys.readouterr().err
        assert empty.path.read_bytes() == before
        assert empty.run(needed) == 0


NO_DATABASE = {
    "a text file": b"this is no database, but a letter to a friend\n" * 200,
    "a short text": b"hello",
    "random bytes": bytes(range(256)) * 64,
}


@pytest.mark.parametrize("case", NO_DATABASE)
def test_what_is_no_database_stays_as_it_is(case: str, empty: Bundle, capsys: Any) -> None:
    content = NO_DATABASE[case]
    empty.path.write_bytes(content)
    assert empty.run("verify") == 1
    assert "file is not a database" in capsys.readouterr().out
    assert empty.run("init") == 3
    error = capsys.readouterr().err
    assert "the file is no SQLite database" in error
    assert empty.path.read_bytes() == content
    failure = empty.report()["failure"]
    assert empty.report()["execution_status"]["status"] == "FAILURE"
    assert (Path(failure["preserved_state"]) / "database.db").read_bytes() == content
    assert failure["not_preserved"] == []
    assert "note: database.db is a copy byte for byte" in error


def test_empty_file_is_a_fresh_database(empty: Bundle) -> None:
    empty.path.touch()
    assert empty.run("verify") == 1
    assert empty.run("init") == 0
    assert empty.report()["deliverables"]["files_created"] == []


def test_truncated_database_is_found(bundle: Bundle, capsys: Any) -> None:
    content = bundle.path.read_bytes()[:-8192]
    bundle.path.write_bytes(content)
    assert bundle.run("verify") == 1
    assert bundle.path.read_bytes() == content
    assert bundle.run("init") == 3
    assert bundle.path.read_bytes() == content


def damage(bundle: Bundle, name: str) -> None:
    """Overwrite the cells of the root page of a table or an index."""
    ((page,),) = bundle.rows(f"SELECT rootpage FROM sqlite_schema WHERE name = '{name}'")
    ((size,),) = bundle.rows("PRAGMA page_size")
    with bundle.path.open("r+b") as file:
        file.seek(page * size - 200)
        file.write(b"\xff" * 200)


def fill(bundle: Bundle) -> None:
    """A few rows, so that pages hold something."""
    bundle.sql(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
        " INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
        " SELECT 'task-' || i, 'do', 'ready', '{}', '2026-01-01', '2026-01-01' FROM n"
    )


@pytest.mark.parametrize("name", ["tasks", "idx_tasks_status_priority", "idx_tasks_submitted_at"])
def test_damaged_page_is_found_and_named(bundle: Bundle, name: str, capsys: Any) -> None:
    fill(bundle)
    damage(bundle, name)
    content = bundle.path.read_bytes()
    assert bundle.run("verify") == 1
    found = bundle.failed()["integrity_check"]
    assert found[0].startswith("in table tasks or an index of it: ")
    assert f"is the first of {name})" in found[0] or f"index {name}" in found[0]
    assert bundle.path.read_bytes() == content


@pytest.mark.parametrize(
    "path",
    [
        "with space.db",
        "a'quote\".db",
        "what?.db",
        "mode=ro?mode=memory.db",
        "a#b.db",
        "100%41.db",
        "a;b.db",
        "größe-数据.db",
        "-leading.db",
        "deep/er/still.db",
        ".hidden",
        "file:x.db",
    ],
)
def test_odd_paths_are_taken_as_they_are(path: str, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("init", f"--database={path}")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / path).is_file()
    assert invoke("verify", f"--database={path}").returncode == 0
    found = reports(tmp_path / "reports")
    expected = str(tmp_path / path)
    assert [one["deliverables"]["files_created"][-1:] for one in found] == [[expected], []]
    assert all(
        one["orchestration_context"]["context_for_next_agent"]["database_path"] == expected
        for one in found
    )


def test_path_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xff.db")
    command = invoke_command("init", "-d", name)
    result = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert (tmp_path / name).is_file()


TAKEN = {
    "a view": ("CREATE VIEW audit AS SELECT 1 AS id", "core", "audit is taken by a view"),
    "a virtual table": (
        "CREATE VIRTUAL TABLE audit USING fts5(result)",
        "core",
        "audit is taken by a virtual table",
    ),
    "an index": (
        "CREATE TABLE mine (x); CREATE INDEX audit ON mine(x)",
        "core",
        "audit is taken by an index on mine",
    ),
    "an index of an application's table": (
        "CREATE TABLE mine (x); CREATE UNIQUE INDEX idx_agents_state ON mine(x)",
        "core-indexes",
        "idx_agents_state is taken by an index on mine",
    ),
    "a table for an index": (
        "CREATE TABLE idx_agents_state (x)",
        "core-indexes",
        "idx_agents_state is taken by a table",
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_name_that_is_taken(case: str, empty: Bundle, capsys: Any) -> None:
    script, step, message = TAKEN[case]
    empty.sql(script)
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2"
    before = empty.rows(schema)
    assert empty.run("init") == 3
    error = capsys.readouterr().err
    assert message in error
    assert "rename or drop what is in the way" in error
    report = empty.report()
    assert report["execution_status"]["status"] == "PARTIAL"
    assert report["failure"]["step"] == step
    assert set(before) <= set(empty.rows(schema))
    if step == "core":
        assert empty.rows(schema) == before
    statuses = [one["status"] for one in report["steps"]]
    assert statuses[statuses.index("failed") + 1 :].count("skipped") == 5 - statuses.index("failed")


def test_index_in_another_form_is_made_anew(bundle: Bundle) -> None:
    bundle.sql("DROP INDEX idx_agents_state; CREATE INDEX idx_agents_state ON agents(model)")
    assert bundle.run("init") == 0
    deliverables = bundle.report()["deliverables"]
    assert deliverables["indexes_dropped"] == deliverables["indexes_created"]
    assert deliverables["indexes_created"] == ["idx_agents_state"]


def test_locked_by_another_process(empty: Bundle, capsys: Any) -> None:
    assert empty.run("pragma") == 0
    holder = sqlite3.connect(empty.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert empty.run("init") == 3
    assert "another process holds the lock" in capsys.readouterr().err
    report = empty.report()
    assert report["failure"]["attempts"] == 2
    assert report["failure"]["statement"] == "BEGIN IMMEDIATE;"
    assert report["failure"]["step"] == "core"
    holder.execute("ROLLBACK")
    holder.close()
    assert empty.run("init") == 0


@pytest.mark.parametrize("task", ["init", "core", "verify"])
def test_name_in_the_schema_that_is_damaged(bundle: Bundle, task: str, capsys: Any) -> None:
    """SQLite's message quotes it, and Python cannot decode the message."""
    content = bundle.path.read_bytes().replace(b"idx_tasks_session", b"idx_\xffasks_session", 1)
    bundle.path.write_bytes(content)
    assert bundle.run(task) == (1 if task == "verify" else 3)
    assert "the database is corrupt" in "".join(capsys.readouterr())
    assert bundle.path.read_bytes() == content
    if failure := bundle.report()["failure"]:
        assert (Path(failure["preserved_state"]) / "database.db").read_bytes() == content


def test_damaged_database_keeps_its_wal(tmp_path: Path) -> None:
    """Reached through a link; an init that fails changes neither the file nor its -wal."""
    bundle = Bundle(tmp_path)
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "a.db"
    application = sqlite3.connect(tmp_path / "application.db", isolation_level=None)
    application.execute("PRAGMA journal_mode = WAL")
    application.execute("CREATE TABLE mine (x)")
    application.execute("PRAGMA wal_checkpoint")
    application.execute("INSERT INTO mine VALUES (1)")
    for suffix in ("", "-wal"):
        shutil.copy(f"{tmp_path / 'application.db'}{suffix}", f"{real}{suffix}")
    application.close()
    with real.open("r+b") as file:
        file.write(b"no header any more")
    bundle.path.symlink_to(real)
    before = digest(real.parent)
    assert bundle.run("init") == 3
    assert before.items() <= digest(real.parent).items()
    state = Path(bundle.report()["failure"]["preserved_state"])
    for suffix in ("", "-wal"):
        kept = (state / f"database.db{suffix}").read_bytes()
        assert kept == Path(f"{real}{suffix}").read_bytes()


def test_finished_database_needs_no_lock(bundle: Bundle) -> None:
    holder = sqlite3.connect(bundle.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert bundle.run("init") == 0
    holder.close()


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
        """Where this user may make files beside the database, too: its owner could not write."""
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
        """The application was killed: what is in the -wal needs a -shm, which is its owner's."""
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
        assert "Nothing is known of it" in result.stderr

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
        assert "stands" in report["human_readable_summary"]

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
        assert "stands" in report["human_readable_summary"]

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
    """Neither as a database nor byte for byte: the report says so."""
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

from abathur_schema.commands.chain import run_task

sys.exit(run_task("init", "abathur.db", "reports", as_json=False))
"""


def test_file_system_without_wal(tmp_path: Path) -> None:
    """SQLite's own unix-dotfile locking has no shared memory, as network file systems have none."""
    result = run([sys.executable, "-c", WITHOUT_WAL], tmp_path)
    if "libsqlite3.so.0" in result.stderr:
        pytest.skip("this Python's SQLite is not a shared library")
    assert result.returncode == 3
    assert "journal_mode stays delete after PRAGMA journal_mode = WAL" in result.stderr
    assert "the file system cannot do WAL" in result.stderr
    assert "put the database on a local disk" in result.stderr
    no_trace(result)


def test_step_out_of_order_where_only_a_writer_can_look(empty: Bundle, capsys: Any) -> None:
    """A hot journal must be played back before anybody can see that `pragma` never ran."""
    leave_a_journal(empty)
    assert empty.run("core") == 3
    assert "Run `invoke pragma` first" in capsys.readouterr().err
    assert empty.rows("SELECT name FROM sqlite_schema") == [("mine",)]


def test_verify_of_a_database_that_was_left_open(empty: Bundle, capsys: Any) -> None:
    leave_a_journal(empty)
    assert empty.run("verify") == 2
    error = capsys.readouterr().err
    assert "left a -journal" in error
    assert "open it once for writing" in error
    assert empty.run("init") == 0


def leave_a_journal(bundle: Bundle) -> None:
    """An application is killed in the middle of a transaction that has reached the disk."""
    code = (
        "import os, sqlite3; c = sqlite3.connect('abathur.db', isolation_level=None);"
        "c.execute('CREATE TABLE mine (x)'); c.execute('PRAGMA cache_size = 2');"
        "c.execute('BEGIN'); c.executemany('INSERT INTO mine VALUES (?)', [('x' * 2000,)] * 500);"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=bundle.path.parent, check=False)
    assert bundle.path.with_name("abathur.db-journal").stat().st_size


def test_cause_is_not_read_from_a_path(shared: Path) -> None:
    folder = shared / "database is locked, malformed"
    folder.mkdir()
    result = as_nobody("init", "-d", str(folder / "a.db"), "-r", "out", cwd=shared)
    assert result.returncode == 3
    assert "likely cause: this user may not write there" in result.stderr


def test_reports_behind_links_in_a_circle(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    result = invoke("init", "-r", "a/reports")
    assert result.returncode == 2
    assert "reports cannot be written to" in result.stderr
    no_trace(result)


def test_verify_of_a_locked_database_says_that_nothing_is_known(empty: Bundle, capsys: Any) -> None:
    empty.sql("CREATE TABLE mine (x)")
    holder = sqlite3.connect(empty.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert empty.run("verify") == 2
    error = capsys.readouterr().err
    assert "another process holds the lock" in error
    assert "Nothing is known of it" in error
    assert not empty.reports.exists()
    holder.close()


def test_wal_that_was_left_behind_stays_as_it_is(bundle: Bundle, tmp_path: Path) -> None:
    """An application crashed: what it committed is in the -wal file; `verify` reads it there."""
    code = (
        "import os, sqlite3; c = sqlite3.connect('abathur.db', isolation_level=None);"
        "c.execute(\"INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'a', 'u')\");"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    wal = bundle.path.with_name("abathur.db-wal")
    before = bundle.path.read_bytes(), wal.read_bytes()
    assert before[1]
    assert bundle.run("verify") == 0
    assert (bundle.path.read_bytes(), wal.read_bytes()) == before
    assert bundle.run("init") == 0
    assert bundle.rows("SELECT id FROM sessions") == [("s",)]


def test_sqlite_that_is_too_old(invoke: Invoke, tmp_path: Path) -> None:
    library = os.environ.get("OLD_SQLITE")
    if not library:
        pytest.skip("OLD_SQLITE does not name a folder with an SQLite before 3.37")
    result = invoke("init", LD_LIBRARY_PATH=library)
    assert result.returncode == 2
    assert "is too old; 3.37.0 or newer is needed" in result.stderr
    assert list(tmp_path.iterdir()) == []
