"""`forget` beside an application that writes: how long both take.

The same DELETEs by the command line hold the lock until they are done.
"""

import argparse
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from abathur_schema.declared.declaration import declared
from abathur_schema.declared.retention import read_rules
from benchmarks.start import ROOT

LONGEST_MS = 100.0

WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=600)
print("ready", flush=True)
while True:
    started = time.perf_counter()
    connection.execute("INSERT INTO metrics (timestamp, metric_name, metric_value)"
                       " VALUES ('2026-01-01', 'm', 1)")
    print(time.perf_counter() - started, flush=True)
    time.sleep(0.003)
"""
FILL = """
CREATE TEMP TABLE n AS
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})
SELECT * FROM n;
INSERT INTO memory_entries (namespace, key, value, memory_type, updated_at)
SELECT 'user:u' || i % 1000, 'k' || i, json_quote(hex(randomblob(100))), 'episodic',
       datetime('now', (-i * 200 / {rows}) || ' days') FROM n;
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, completed_at, last_updated_at)
SELECT 't' || i, hex(randomblob(100)), 'completed', '{{}}', day, day, day
  FROM (SELECT i, datetime('now', (-i * 8000 / {rows}) || ' days') AS day FROM n WHERE i % 10 = 0);
INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)
SELECT 'a' || id, 'n', 's', id, 'idle', 'm', submitted_at FROM tasks;
INSERT INTO checkpoints (task_id, iteration, state, created_at)
SELECT tasks.id, value, hex(randomblob(200)), submitted_at FROM tasks, json_each('[1, 2, 3]');
INSERT INTO audit (timestamp, agent_id, task_id, action_type)
SELECT datetime('now', (-i * 800 / {rows}) || ' days'), 'at' || (i - i % 10), 't' || i, 'x' FROM n;
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at, dependencies)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {waiting})
SELECT 'w' || i, 'p', 'pending', '{{}}', datetime(), datetime(), json_array('none' || i) FROM n;
"""


def by_hand() -> str:
    """The DELETEs of all rules, each as one transaction; what hangs on tasks goes by CASCADE."""
    lines = [".timeout 600000", "PRAGMA foreign_keys = ON;"]
    for rule in read_rules(declared()):
        days = rule.older_than.days
        condition = rule.condition.replace(
            ":before", f"strftime('%Y-%m-%dT%H:%M:%S', 'now', '-{days} days')"
        )
        lines.append(f"DELETE FROM {rule.table} WHERE {condition};")
    return "\n".join(lines)


def beside_a_writer(
    database: Path, command: Sequence[str], given: str
) -> tuple[float, list[float]]:
    """The seconds of a command, and those of each commit of an application meanwhile."""
    writer = [sys.executable, "-c", WRITER, str(database)]
    with subprocess.Popen(writer, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        started = time.perf_counter()
        subprocess.run(command, input=given, text=True, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        time.sleep(0.2)
        process.kill()
        waits = [float(line) for line in process.stdout.read().splitlines()]
    return seconds, sorted(waits)


def main() -> int:
    """Measure, and say whether the target holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000, help="episodes, and rows of audit")
    parser.add_argument("--waiting", type=int, default=1, help="tasks that wait for another one")
    asked = parser.parse_args()
    longest = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, reports = folder / "a.db", folder / "reports"
        ours = [sys.executable, "-m", "invoke", "--search-root", str(ROOT)]
        where = ["--database", str(path), "--reports", str(reports)]
        subprocess.run([*ours, "init", "--quiet", *where], check=True, stdout=subprocess.DEVNULL)
        with closing(sqlite3.connect(path)) as connection:
            filled = FILL.format(rows=asked.rows, waiting=asked.waiting)
            connection.executescript(f"BEGIN; {filled} COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = folder / "copy.db"
        shutil.copy(path, copy)
        print(f"{path.stat().st_size / 1e6:,.0f} MB\n")
        print(
            "                     seconds   an application's commits, ms: median   99 %   longest"
        )
        for label, database, command, given in (
            ("sqlite3, one DELETE each", copy, ["sqlite3", str(copy)], by_hand()),
            ("forget all", path, [*ours, "forget", "all", *where], ""),
        ):
            seconds, waits = beside_a_writer(database, command, given)
            shown = (statistics.median(waits), waits[len(waits) * 99 // 100], waits[-1])
            print(f"{label:<24} {seconds:>7.1f}", *(f"{1000 * one:>10.1f}" for one in shown))
            longest = 1000 * waits[-1]
    print(f"\nlongest wait beside forget: {longest:.0f} ms, at most {LONGEST_MS:.0f}")
    return longest > LONGEST_MS


if __name__ == "__main__":
    with closing(sys.stdout):
        sys.exit(main())
