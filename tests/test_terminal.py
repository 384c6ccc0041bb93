"""At a terminal: progress, Ctrl-C, pipes that close."""

import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.bundle import Bundle, reports
from tests.support.commands import INVOKE_INIT, environment, in_shell, invoke_command
from tests.support.terminal import read_all, start_on_terminal


def test_progress_after_a_second_and_only_then(empty: Bundle, tmp_path: Path) -> None:
    assert empty.run("pragma") == 0
    holder = sqlite3.connect(empty.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    process, terminal = start_on_terminal(tmp_path, "init")
    time.sleep(3.5)
    holder.execute("ROLLBACK")
    holder.close()
    shown = read_all(terminal)
    assert process.wait() == 0
    assert re.search(r"\rcore \.\.\. [12] s", shown)
    assert "pragma ..." not in shown
    assert shown.index("core ...") < shown.index("tables made")


def test_silent_where_nobody_looks(bundle: Bundle, tmp_path: Path) -> None:
    result = subprocess.run(
        invoke_command("verify"), cwd=tmp_path, env=environment(), capture_output=True, check=True
    )
    assert b"\r" not in result.stdout + result.stderr
    assert b"\x1b" not in result.stdout + result.stderr


LONG_CHECK = """-- a check that takes for ever
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
SELECT i FROM n WHERE i < 0;
"""


def start_long_verify(checkout: Path, bundle: Bundle) -> subprocess.Popen[str]:
    """A `verify` that runs forever, started and busy."""
    (checkout / "checks" / "holds" / "for-ever.sql").write_text(LONG_CHECK)
    process = subprocess.Popen(
        invoke_command("verify", root=checkout),
        cwd=bundle.path.parent,
        env=environment(checkout),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not list(bundle.reports.glob(".*verify*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_interrupted_verify_leaves_nothing_half(checkout: Path, bundle: Bundle) -> None:
    process = start_long_verify(checkout, bundle)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "verify failed: interrupted; run the same command again to finish" in error
    assert "Traceback" not in output + error
    assert not list(bundle.reports.glob(".*"))
    assert reports(bundle.reports)[-1]["failure"]["error"].startswith("interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_waits_for_a_lock(
    number: signal.Signals, empty: Bundle, tmp_path: Path
) -> None:
    assert empty.run("pragma") == 0
    holder = sqlite3.connect(empty.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    process, terminal = start_on_terminal(tmp_path, "init")
    time.sleep(1.5)
    process.send_signal(number)
    shown = read_all(terminal)
    assert process.wait() == 128 + number
    assert "interrupted" in shown
    assert "Traceback" not in shown
    assert empty.report()["steps"][1]["status"] == "failed"
    assert not list(empty.reports.glob(".*"))
    holder.close()
    assert empty.run("init") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_end_it_at_once_and_leave_no_draft(
    number: signal.Signals, checkout: Path, bundle: Bundle
) -> None:
    """The second Ctrl-C comes during a check that is a single long SQLite call."""
    process = start_long_verify(checkout, bundle)
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.02)
    output, error = process.communicate(timeout=20)
    # -number if the second one hits it on its way out; a shell reports 128 + number for both.
    assert process.returncode in (128 + number, -number)
    assert "Traceback" not in output + error
    assert not list(bundle.reports.glob(".*"))


@pytest.mark.parametrize("reader", ["head -n 1", "true", "cat > /dev/full"])
def test_reader_that_goes_away_stops_no_work(reader: str, tmp_path: Path) -> None:
    result = in_shell(f"set -o pipefail; {INVOKE_INIT} | {reader}", tmp_path)
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr
    assert Bundle(tmp_path).run("verify") == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_output_stops_no_work(closed: str, tmp_path: Path) -> None:
    result = in_shell(f"{INVOKE_INIT} {closed}", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(reports(tmp_path / "reports")) == 1


def test_output_that_cannot_be_written_stops_no_work(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            invoke_command("init"),
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (result.returncode, result.stderr) == (0, "")
    assert Bundle(tmp_path).run("verify") == 0
