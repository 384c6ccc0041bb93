"""`status`, beside the start of the program, and `backup`, beside the command line's `.backup`."""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.database import make
from benchmarks.start import ROOT

STATUS_MS = 50
TIMES = 1.0


def took(command: Sequence[str]) -> float:
    """The seconds of a whole process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> int:
    """Measure, and say whether the targets hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="1: 1.3 GB")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, reports, copy = folder / "a.db", folder / "reports", folder / "copy.db"
        make(path, asked.scale)
        print(f"{path.stat().st_size / 1e6:,.0f} MB, {asked.runs} runs of each by turns\n")
        ours = [sys.executable, "-m", "invoke", "--search-root", str(ROOT)]
        where = ["--database", str(path), "--reports", str(reports)]
        commands = {
            "start (--list)": [*ours, "--list"],
            "status": [*ours, "status", *where],
            "backup, unchecked": [*ours, "backup", "--no-check-copy", *where],
            "sqlite3 .backup": ["sqlite3", str(path), f".backup '{copy}'"],
            "backup": [*ours, "backup", *where],
        }
        times: dict[str, list[float]] = {label: [] for label in commands}
        for _ in range(asked.runs):
            for label, command in commands.items():
                times[label].append(took(command))
                copy.unlink(missing_ok=True)
                shutil.rmtree(reports, ignore_errors=True)
        median = {label: statistics.median(found) for label, found in times.items()}
        for label, seconds in median.items():
            print(f"{label:<20} {seconds:>7.2f} s")
    status = (median["status"] - median["start (--list)"]) * 1000
    ratio = median["backup, unchecked"] / median["sqlite3 .backup"]
    print(f"\nstatus beyond the start: {status:.0f} ms, at most {STATUS_MS}")
    print(f"backup, unchecked: {ratio:.2f} times .backup, at most {TIMES}")
    return status > STATUS_MS or ratio > TIMES


if __name__ == "__main__":
    with closing(sys.stdout):
        sys.exit(main())
