"""How long `invoke verify` takes beside SQLite's own command line, and how much memory."""

import argparse
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.database import make
from benchmarks.start import ROOT, positive, script

SHELL = "PRAGMA integrity_check; PRAGMA foreign_key_check;"
SCALES = (0.08, 1.0, 1.6)
"""About 100 MB, 1.3 GB and 2 GB."""

LARGE = 0.5
TARGET_LARGE, TARGET = 0.5, 1.0
"""The share of the command line's time that `verify` may take: from scale `LARGE` on, and below."""

GROWTH = 1.25
"""How many times the memory for the smallest database the largest may take."""


class Measured(NamedTuple):
    """A whole process: wall and processor time in seconds, and its peak memory in MB without mapped
    files (RssAnon; 0 where the system does not report it).
    """

    wall: float
    cpu: float
    memory: float


def run(arguments: Sequence[str], folder: Path) -> Measured:
    """Run a command in `folder`. Raises CalledProcessError unless it exits with 0."""
    before = os.times()
    begin = time.perf_counter()
    process = subprocess.Popen(
        arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    memory = 0.0
    while process.poll() is None:
        memory = max(memory, anonymous(process.pid))
        time.sleep(0.02)
    wall = time.perf_counter() - begin
    after = os.times()
    output = process.communicate()[0]
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, output)
    cpu = after.children_user + after.children_system
    return Measured(wall, cpu - before.children_user - before.children_system, memory)


def anonymous(pid: int) -> float:
    """The private memory of a process, in MB; 0 where Linux does not report it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return 0.0
    lines = (line.split() for line in status.splitlines())
    return next((int(line[1]) / 1024 for line in lines if line[0] == "RssAnon:"), 0.0)


def measure(database: Path, runs: int) -> list[tuple[Measured, Measured]]:
    """Run SQLite's command line and `invoke verify` in turns, after a `verify` that warms up the
    system's file cache.
    """
    shell = shutil.which("sqlite3")
    if shell is None:
        raise FileNotFoundError("no sqlite3 command here to compare with")
    theirs = [shell, "-readonly", str(database), SHELL]
    reports = str(database.with_suffix(".reports"))
    options = ["--database", str(database), "--reports", reports]
    ours = [script("invoke"), "--search-root", str(ROOT), "verify", *options]
    run(ours, database.parent)
    pairs = [(run(theirs, database.parent), run(ours, database.parent)) for _ in range(runs)]
    shutil.rmtree(reports)
    return pairs


def rows(database: Path, pairs: Sequence[tuple[Measured, Measured]]) -> tuple[float, list[str]]:
    """The median ratio of the pairs, and the lines of the table."""
    ratio = statistics.median(ours.wall / theirs.wall for theirs, ours in pairs)
    megabytes = database.stat().st_size / 1e6
    lines = []
    for name, column in (("sqlite3 command line", 0), ("invoke verify", 1)):
        found = [pair[column] for pair in pairs]
        walls = [one.wall for one in found]
        lines.append(
            f"{megabytes:>8.0f}  {name:<22}{statistics.median(walls):>9.2f}{min(walls):>8.2f}"
            f"{max(walls):>8.2f}{statistics.median(one.cpu for one in found):>8.2f}"
            f"{max(one.memory for one in found):>10.0f}{ratio if column else 1:>8.2f}"
        )
    return ratio, lines


def main() -> int:
    """Measure and print; 0 if every target holds, 1 if not, 2 on error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=positive, default=3, help="pairs a database (default: 3)")
    parser.add_argument(
        "--scales", type=float, nargs="+", default=SCALES, help="sizes; 1 is 1.3 GB (default: all)"
    )
    parser.add_argument("--folder", type=Path, help="where the databases are made, and kept")
    arguments = parser.parse_args()
    verdicts, memory = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        print(
            f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
            f" {os.cpu_count()} cores, {arguments.runs} pairs of each\n\n"
            f"{'MB':>8}  {'command':<22}{'median s':>9}{'min':>8}{'max':>8}{'cpu s':>8}"
            f"{'memory MB':>10}{'ratio':>8}"
        )
        for scale in arguments.scales:
            database = folder / f"verify-{scale}.db"
            try:
                if not database.exists():
                    make(database, scale)
                pairs = measure(database, arguments.runs)
            except subprocess.CalledProcessError as error:
                print(f"{error}\n{error.output}", file=sys.stderr)
                return 2
            except (OSError, sqlite3.Error) as error:
                print(error, file=sys.stderr)
                return 2
            ratio, lines = rows(database, pairs)
            print(*lines, sep="\n", flush=True)
            target = TARGET_LARGE if scale >= LARGE else TARGET
            verdicts.append((ratio <= target, f"time at scale {scale}: {ratio:.2f} <= {target}"))
            memory.append(max(ours.memory for _, ours in pairs))
            if not arguments.folder:
                database.unlink()
    if len(memory) > 1 and min(memory):
        growth = memory[-1] / memory[0]
        verdicts.append((growth <= GROWTH, f"memory, last to first: {growth:.2f} <= {GROWTH}"))
    print()
    for holds, line in verdicts:
        print(f"{line}: {'holds' if holds else 'does NOT hold'}")
    return 0 if all(holds for holds, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
