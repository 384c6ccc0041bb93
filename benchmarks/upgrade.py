"""How long bringing an older database up to date takes, compared with `sqlite3` and Alembic."""

import argparse
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.start import Target, judge, positive
from benchmarks.upgrade_works import (
    ALEMBIC,
    AUDIT_REBUILT,
    COLUMNS,
    INDEXES,
    INVOKE,
    REBUILD,
    SHELL,
    TEXT,
    Bench,
    name_of,
)

RUNS_FOR_A_VERDICT = 5

EXPLANATION = f"""\
Each run works on a fresh copy of the database.
{COLUMNS}: core on generation 3: add columns, change constraints by editing the text of tables
(Alembic: only the columns). {TEXT}: the same step, compared with rebuilding audit.
{INDEXES}: build all indexes of both steps.
{REBUILD}: core on generation 1, which rebuilds tasks; "keys checked" includes foreign_key_check.
Judged are, for invoke, the durations of the steps in the report; for sqlite3, the whole process;
for Alembic, the inside of its upgrade(), without the COMMIT. The whole processes of invoke and
Alembic are shown, too; start.py measures how long Python takes to start."""

TARGETS = (
    Target(name_of(COLUMNS, INVOKE), "<=", 1.5, name_of(COLUMNS, SHELL)),
    Target(name_of(COLUMNS, ALEMBIC), ">=", 40, name_of(COLUMNS, INVOKE)),
    Target(name_of(TEXT, AUDIT_REBUILT), ">=", 100, name_of(TEXT, INVOKE)),
    Target(name_of(INDEXES, INVOKE), "<=", 1.1, name_of(INDEXES, SHELL)),
    Target(name_of(REBUILD, INVOKE), "<=", 1.3, name_of(REBUILD, SHELL)),
)


def measure(folder: Path, tasks: int, audit: int, runs: int) -> dict[str, list[float]]:
    """The milliseconds of each run by label.

    A first run of each work warms up, and its result is checked. The works take turns, so that a
    slow moment of the machine hits them all alike.
    """
    bench = Bench(folder, tasks, audit)
    works = []
    for work in bench.works():
        bench.measure(work)
        bench.check(work)
        works.append(work)
    times: dict[str, list[float]] = {}
    for _ in range(runs):
        for work in works:
            for label, taken in bench.measure(work).items():
                times.setdefault(label, []).append(taken)
    return times


def table(times: Mapping[str, Sequence[float]]) -> list[str]:
    """The lines of the table, header first."""
    lines = [f"{'':<50}{'median ms':>10}{'min':>9}{'max':>9}{'x sqlite3':>11}"]
    for label, row in times.items():
        median = statistics.median(row)
        shell = name_of(label.partition(":")[0], SHELL)
        base = statistics.median(next(times[other] for other in times if other.startswith(shell)))
        lines.append(
            f"{label:<50}{median:>10.1f}{min(row):>9.1f}{max(row):>9.1f}{median / base:>11.2f}"
        )
    return lines


def main() -> int:
    """Measure and print; 0 if every target holds, 1 if not (or too few runs to say), 2 on error."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option, default, what in (
        ("runs", 7, f"runs of each (default: 7; at least {RUNS_FOR_A_VERDICT} for a verdict)"),
        ("tasks", 300_000, "rows of tasks (default: 300000)"),
        ("audit", 600_000, "rows of audit (default: 600000)"),
    ):
        parser.add_argument(f"--{option}", type=positive, default=default, metavar="N", help=what)
    parser.add_argument("--folder", help="where there is room for five databases of 500 MB")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            times = measure(Path(name), options.tasks, options.audit, options.runs)
    except subprocess.CalledProcessError as error:
        print(f"{error}\n{error.stderr or error.stdout}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" {os.cpu_count()} cores, {options.tasks} tasks, {options.audit} audit rows,"
        f" {options.runs} runs of each\n\n{EXPLANATION}\n"
    )
    print(*table(times), sep="\n", end="\n\n")
    if options.runs < RUNS_FOR_A_VERDICT:
        print(f"No verdict: it needs at least {RUNS_FOR_A_VERDICT} runs.")
        return 1
    verdicts = [judge(target, times) for target in TARGETS]
    print(*(line for _, line in verdicts), sep="\n")
    return 0 if all(holds for holds, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
