"""How long preserving the state of a large database takes, beside the command line's .backup."""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from abathur_schema.declared.declaration import declared
from abathur_schema.storage.kept import PreservedState
from benchmarks.database import make
from benchmarks.start import positive
from benchmarks.verify import run

TARGET = 1.1
"""Both run SQLite's backup; anything above 1 is noise of the disk."""


def main() -> int:
    """Measure in turns and print; 0 if the target holds, 1 if not, 2 without a command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=positive, default=5, help="pairs (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="size; 1 is 1.3 GB (default)")
    arguments = parser.parse_args()
    shell = shutil.which("sqlite3")
    if shell is None:
        print("no sqlite3 command here to compare with", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database, copy = folder / "large.db", folder / "copy.db"
        make(database, arguments.scale)
        pairs = []
        for number in range(arguments.runs + 1):
            theirs = run([shell, "-readonly", str(database), f".backup {copy}"], folder).wall
            copy.unlink()
            begin = time.perf_counter()
            state = PreservedState(folder / "state")
            state.keep_database(database, declared().settings)
            ours = time.perf_counter() - begin
            shutil.rmtree(state.folder)
            if number:  # the first pair warms up
                pairs.append((theirs, ours))
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    for label, times in zip((".backup", "preserved"), zip(*pairs, strict=True), strict=True):
        median, low, high = statistics.median(times), min(times), max(times)
        print(f"{label:<12}{median:>8.2f} s (min {low:.2f}, max {high:.2f})")
    print(f"ratio {ratio:.2f} <= {TARGET}: {'holds' if ratio <= TARGET else 'does NOT hold'}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
