"""How long `show` takes, beside `verify` on the same database, and how large its page is."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.database import make

ROOT = Path(__file__).resolve().parent.parent
TIMES = 1.3
MOST_BYTES = 1_000_000
SMALL_SECONDS = 0.5
SMALL = 0.0


def took(task: str, path: Path, reports: Path) -> float:
    """The seconds of one run of a task."""
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), task]
    command += ["--database", str(path), "--reports", str(reports)]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def measure(path: Path, runs: int) -> tuple[float, float, int]:
    """The median seconds of `verify` and of `show`, run by turns, and the bytes of the page."""
    with tempfile.TemporaryDirectory() as folder:
        reports = Path(folder)
        pairs = [(took("verify", path, reports), took("show", path, reports)) for _ in range(runs)]
        (*_, page) = sorted(reports.glob("*.html"))
        verify, show = (statistics.median(times) for times in zip(*pairs, strict=True))
        return verify, show, page.stat().st_size


def main() -> int:
    """Measure, and say whether the targets hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="1: 1.3 GB")
    asked = parser.parse_args()
    missed = []
    print(f"{'database':>12} {'verify s':>9} {'show s':>9} {'times':>6} {'page KB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for scale in (SMALL, asked.scale):
            path = Path(folder) / f"{scale}.db"
            make(path, scale)
            verify, show, size = measure(path, asked.runs)
            megabytes = path.stat().st_size / 1e6
            print(
                f"{megabytes:>9,.1f} MB {verify:>9.2f} {show:>9.2f} {show / verify:>6.2f}"
                f" {size / 1000:>8.0f}"
            )
            if scale == SMALL and show >= SMALL_SECONDS:
                missed.append(f"the page of a new database in {SMALL_SECONDS} s")
            if scale != SMALL and show > TIMES * verify:
                missed.append(f"the page in {TIMES} times verify")
            if size >= MOST_BYTES:
                missed.append("a page under 1 MB")
    print("\n" + ("\n".join(f"missed: {one}" for one in missed) or "all targets hold"))
    return bool(missed)


if __name__ == "__main__":
    with closing(sys.stdout):
        sys.exit(main())
