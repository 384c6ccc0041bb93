"""The benchmarks of the async `Database`, small and short: they must run, and find no fault."""

import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from abathur_schema.application.queries import queries
from abathur_schema.declared.declaration import declared
from abathur_schema.storage.connection import connect
from benchmarks.load import lost
from tests.support.bundle import Bundle
from tests.support.commands import environment


def benchmark(name: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    result = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode in codes, result.stderr) == (True, ""), result.stdout + result.stderr
    return result.stdout


def test_load_of_many_tasks_and_processes_loses_no_write() -> None:
    """`python -m benchmarks.load` runs for ten seconds."""
    output = benchmark("load", "--seconds", "3")
    assert output.startswith("5 processes, 50 tasks each")
    assert output.endswith("\n0 faults\n")


def test_load_notices_a_lost_write(bundle: Bundle) -> None:
    bundle.sql("INSERT INTO sessions (id, app_name, user_id, metadata) VALUES ('all', '', '', '2')")
    assert lost(bundle.path, Counter(append_event=2)) == []
    found = lost(bundle.path, Counter(append_event=3, make_session=1))
    assert [line.rpartition(": ")[2] for line in found] == ["0, expected 1", "2, expected 3"]


def test_every_search_is_measured() -> None:
    """The sizes are too small for a verdict on the limit."""
    output = benchmark("search", "--sizes", "1000x32", "--memories", "3000", codes=(0, 1))
    for way in ("scan, numpy", "in memory", "one", "two in a namespace", "any of three"):
        assert f" {way} " in output or f"\n{way} " in output


def test_every_query_is_measured_and_finds_rows(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    options = "--memories", "20000", "--runs", "20", "--database", str(path)
    # Whether they are fast enough can only be judged on an idle machine.
    output = benchmark("reads", *options, codes=(0, 1))
    measured = [line.split()[0] for line in output.splitlines() if line.count(" ") > 6]
    assert set(queries()) <= set(measured)
    assert "No verdict" not in output
    with closing(connect(path, "ro", declared().settings)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
