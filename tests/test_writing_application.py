"""`init` while an application of each older generation writes: no acknowledged write is lost."""

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import older, writing_application
from tests.support.bundle import Bundle
from tests.support.commands import environment, invoke_command, run
from tests.support.older_applications import APPLICATIONS, old_columns

ROUNDS = 6
PAUSE = 0.002
"""Seconds between two transactions. Without a pause, the application holds the lock nearly all the
time, above all with a rollback journal; SQLite's waits are not fair, and `init` may give up.
"""
PAUSES = {PAUSE: "writes", 0.0: "writes without pause"}
SIZES = (30, 3000)
"""The number of tasks before, in turn: more of them make the rebuild take longer."""

REFUSED = {
    1: "table tasks has no column named template_name",
    2: "NOT NULL constraint failed: tasks.last_updated_at",
    3: "",
}
"""What happens to an INSERT into tasks after the upgrade, as `docs/upgrades.md` says."""

Rows = dict[tuple[str, int], dict[str, Any]]


def rows_of(database: Path, generation: int) -> Rows:
    """All rows of the core tables by table and rowid: the old columns, by their new names."""
    found: Rows = {}
    with closing(sqlite3.connect(database)) as connection:
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        for table in APPLICATIONS[generation].inserts:
            names = old_columns(generation, table)
            there = older.columns_of(connection, table)
            wanted = [old if old in there else new for old, new in names.items()]
            for rowid, *values in connection.execute(
                f"SELECT rowid, {', '.join(wanted)} FROM {table}"
            ):
                found[table, rowid] = dict(zip(names.values(), values, strict=True))
    return found


def upgrade_beside(
    generation: int, size: int, pause: float, wait: float, folder: Path
) -> tuple[str, int]:
    """Run `init` so many seconds after the application began; returns how it ended, and the number
    of acknowledged transactions.
    """
    folder.mkdir()
    bundle, log = Bundle(folder), folder.with_name(f"{folder.name}.log")
    older.make(bundle.path, generation, tasks=size, audit=2 * size)
    expected = rows_of(bundle.path, generation)
    told = (str(generation), str(pause), str(bundle.path), str(log))
    application = subprocess.Popen(
        [sys.executable, "-m", writing_application.__name__, *told],
        stdin=subprocess.PIPE,
        env=environment(),
    )
    assert application.stdin
    try:
        deadline = time.monotonic() + 20
        while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(wait)
        result = run(invoke_command("init"), folder)
        written = log.stat().st_size
        deadline = time.monotonic() + 20
        while log.stat().st_size == written and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        application.stdin.close()
        ended = application.wait(timeout=60)
    assert ended == 0
    gave_up = result.returncode == 3 and not pause
    if gave_up:
        assert "failed: database is locked" in result.stderr
        assert bundle.run("init") == 0
    else:
        assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["error"] for line in lines} == {""}
    assert {line["refused"] for line in lines} <= {"", REFUSED[generation]}
    assert gave_up or lines[-1]["refused"] == REFUSED[generation]

    inserted: Rows = {}
    for table, rowid, values in (row for line in lines for row in line["rows"]):
        names = old_columns(generation, table)
        row = {names[name]: value for name, value in values.items()}
        inserted.setdefault((table, rowid), {}).update(row)
    assert not inserted.keys() & expected.keys()
    found = rows_of(bundle.path, generation)
    assert found.keys() == expected.keys() | inserted.keys()
    assert {key: found[key] for key in expected} == expected
    for key, row in inserted.items():
        assert {name: found[key][name] for name in row} == row, key
    assert bundle.run("verify") == 0
    if gave_up:
        return "exit code 3 (locked), exit code 0 once it had ended", len(lines)
    kind = "INSERTs into tasks refused afterwards" if REFUSED[generation] else "nothing refused"
    return f"exit code 0, {kind}", len(lines)


@pytest.mark.parametrize("generation", older.GENERATIONS)
def test_upgrade_while_an_application_writes(generation: int, tmp_path: Path) -> None:
    upgrade_beside(generation, SIZES[0], PAUSE, 0.1, tmp_path / "bundle")


@pytest.mark.faults
@pytest.mark.parametrize("pause", PAUSES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("generation", older.GENERATIONS)
def test_upgrade_while_an_application_writes_many_times(
    generation: int,
    size: int,
    pause: float,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    chosen = random.Random(generation)
    outcomes: Counter[str] = Counter()
    transactions = 0
    for number in range(ROUNDS):
        how, acknowledged = upgrade_beside(
            generation, size, pause, chosen.random() / 2, tmp_path / f"{number}"
        )
        outcomes[how] += 1
        transactions += acknowledged
    kind = f"generation {generation}, while it {PAUSES[pause]}"
    record_property("faults", (kind, dict(outcomes)))
    record_property("faults", (f"{kind}: transactions", {"there": transactions}))
