"""`verify` on a database large enough for several readers, while others write."""

import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema.declared.declaration import declared
from abathur_schema.progress import Progress
from abathur_schema.proof.verification import verify
from abathur_schema.storage import snapshot
from abathur_schema.storage.connection import connect
from abathur_schema.storage.snapshot import Job, meet, side_by_side
from benchmarks.database import make
from tests.support.bundle import Bundle, reports
from tests.support.commands import environment, invoke_command
from tests.support.terminal import read_all, start_on_terminal


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "abathur.db"
    make(path, 0.03)
    assert path.stat().st_size > snapshot.LARGE
    return path


def write(path: Path) -> None:
    """Commit without pause: two rows that must always be equal, and rows that break no rule."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA synchronous = NORMAL")
    number = 0
    while True:
        number += 1
        begin = time.monotonic()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE one SET n = ?", (number,))
        connection.execute("UPDATE two SET n = ?", (number,))
        connection.execute("INSERT INTO waits VALUES (?)", (time.monotonic() - begin,))
        connection.execute("COMMIT")


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    """A database that another process writes to without pause."""
    path = Bundle(tmp_path).path
    Bundle(tmp_path).run("init")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE one (n); CREATE TABLE two (n); CREATE TABLE waits (seconds);"
            "INSERT INTO one VALUES (0); INSERT INTO two VALUES (0)"
        )
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(path,))
    writer.start()
    try:
        while not rows(path, "SELECT count(*) FROM waits")[0][0]:
            time.sleep(0.01)
        yield path
    finally:
        writer.kill()
        writer.join()


def rows(path: Path, query: str) -> list[tuple[float, ...]]:
    with closing(connect(path, "ro", declared().settings)) as connection:
        return connection.execute(query).fetchall()


def test_connections_see_one_state_while_another_process_writes(written: Path) -> None:
    states: set[int] = set()
    met = tries = 0
    give_up = time.monotonic() + 30
    while tries < 50 or (len(states) <= 2 and time.monotonic() < give_up):  # the writer is slow
        tries += 1
        connections = [connect(written, "ro", declared().settings) for _ in range(3)]
        meet(connections)
        for _ in range(2):
            found = {
                value
                for connection in connections
                for table in ("one", "two")
                for (value,) in connection.execute(f"SELECT n FROM {table}")
            }
            assert len(found) == 1
        met += len(connections) > 1
        states |= found
        for connection in connections:
            connection.close()
    assert met > 5  # otherwise little was tried
    assert len(states) > 2


def test_full_writing_load_is_not_held_up_and_the_wal_is_bounded(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LARGE", 0)
    before = rows(written, "SELECT count(*) FROM waits")[0][0]
    for _ in range(5):
        started = times_begun(written)
        checks = verify(written, declared(), Progress(None)).checks
        assert not [check for check in checks if check.status == "fail"]
        # What was written meanwhile is still in the -wal, which can now start over, and does.
        deadline = time.monotonic() + 20
        while times_begun(written) == started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert times_begun(written) != started
    assert rows(written, "SELECT count(*) FROM waits")[0][0] - before > 100
    assert rows(written, "SELECT max(seconds) FROM waits")[0][0] < 5


def times_begun(path: Path) -> bytes:
    """How often the `-wal` has started over: the checkpoint sequence number in its header (SQLite
    documentation, "WAL-mode File Format").
    """
    return path.with_name(f"{path.name}-wal").read_bytes()[12:16]


def test_what_one_of_them_finds_is_told_once_and_in_order(large: Path) -> None:
    connections = [connect(large, "ro", declared().settings) for _ in range(3)]
    jobs = [
        Job(str(number), -number, lambda _, number=number: number)  # type: ignore[misc]
        for number in range(100)
    ]
    assert side_by_side(connections, jobs, Progress(None)) == list(range(100))
    for connection in connections:
        connection.close()


def test_large_database_is_mapped_only_once_it_is_sound(large: Path, tmp_path: Path) -> None:
    def maps(path: Path) -> bool:
        script = (
            "import sys; from pathlib import Path; from abathur_schema.proof import verification\n"
            "from abathur_schema.declared.declaration import declared\n"
            "from abathur_schema.progress import Progress\n"
            "run = verification.side_by_side\n"
            "def watched(*arguments):\n"
            "    done = run(*arguments)\n"
            "    print(f'{sys.argv[1]}\\n' in Path('/proc/self/maps').read_text())\n"
            "    return done\n"
            "verification.side_by_side = watched\n"
            "verification.verify(Path(sys.argv[1]), declared(), Progress(None))\n"
        )
        command = [sys.executable, "-c", script, str(path)]
        result = subprocess.run(
            command, env=environment(), capture_output=True, text=True, check=True
        )
        return "True" in result.stdout

    if not Path("/proc/self/maps").exists() or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor, or no /proc")
    assert maps(large)
    broken = tmp_path / "broken.db"
    content = bytearray(large.read_bytes())
    content[36:40] = (7).to_bytes(4, "big")  # free pages that are not there
    broken.write_bytes(content)
    assert not maps(broken)


def test_file_of_more_than_two_gigabytes(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path)
    assert bundle.run("init") == 0
    os.truncate(bundle.path, 5 << 30)  # sparse: it takes no room, and SQLite ignores what follows
    for task in ("verify", "init"):
        assert bundle.run(task) == 0


def test_interrupted_while_several_work(large: Path) -> None:
    bundle = Bundle(large.parent)
    process = subprocess.Popen(
        invoke_command("verify"),
        cwd=large.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not list(bundle.reports.glob(".*verify*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.15)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "interrupted" in error
    assert "Traceback" not in output + error
    assert not list(bundle.reports.glob(".*"))
    assert reports(bundle.reports)[-1]["failure"]["error"].startswith("interrupted")


SLOW = """-- slow
SELECT n FROM (
    SELECT count(*) AS n FROM tasks AS a, (SELECT 1 FROM tasks LIMIT 6000) AS b
     WHERE :table = 'tasks')
 WHERE n < 0;
"""


def test_progress_says_which_check_and_how_far(large: Path, checkout: Path) -> None:
    (checkout / "checks" / "holds" / "slow.sql").write_text(SLOW)
    process, terminal = start_on_terminal(large.parent, "verify", root=checkout)
    shown = read_all(terminal)
    assert process.wait() == 0, shown
    assert re.search(r"\rverify: \d+ of \d+, now .*(integrity_check|slow) of? ?.* [12] s", shown)
