"""Locks held by others, and the -journal or -wal that a killed application left behind."""

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from abathur_schema.declared.declaration import SCHEMA_STEPS
from abathur_schema.planning.statement import Statement
from abathur_schema.planning.usability import works_no_longer
from abathur_schema.schema.model import Schema
from abathur_schema.steps import execution
from tests.support import older
from tests.support.bundle import Bundle


def test_locked_by_another_process(empty: Bundle, capsys: Any) -> None:
    assert empty.run("pragma") == 0
    holder = sqlite3.connect(empty.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert empty.run("init") == 3
    assert "another process holds the lock" in capsys.readouterr().err
    report = empty.report()
    assert report["failure"]["attempts"] == 2
    assert report["failure"]["statement"] == "BEGIN IMMEDIATE;"
    assert report["failure"]["step"] == "core"
    holder.execute("ROLLBACK")
    holder.close()
    assert empty.run("init") == 0


def test_finished_database_needs_no_lock(bundle: Bundle) -> None:
    holder = sqlite3.connect(bundle.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert bundle.run("init") == 0
    holder.close()


def test_what_a_step_would_break_is_tried_before_the_lock_is_taken(
    empty: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With thousands of views and triggers, that takes longer than a busy_timeout."""
    steps: list[str] = []

    def tried(live: Schema, statements: Sequence[Statement]) -> list[str]:
        empty.sql("BEGIN IMMEDIATE; ROLLBACK")
        steps.append(statements[0].sql)
        return works_no_longer(live, statements)

    older.make(empty.path, 3)
    monkeypatch.setattr(execution, "works_no_longer", tried)
    assert empty.run("init") == 0
    assert len(steps) == len(SCHEMA_STEPS)


def test_schema_that_changes_before_the_lock_is_looked_at_again(
    empty: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    views = [
        "CREATE VIEW every AS SELECT * FROM tasks UNION ALL SELECT * FROM hist",
        "CREATE TABLE hist AS SELECT * FROM tasks",
    ]

    def meanwhile(live: Schema, statements: Sequence[Statement]) -> list[str]:
        found = works_no_longer(live, statements)
        if views:
            empty.sql(views.pop())
        return found

    older.make(empty.path, 3)
    monkeypatch.setattr(execution, "works_no_longer", meanwhile)
    assert empty.run("init") == 0
    assert "no longer works: view every: SELECTs to the left" in capsys.readouterr().err


def test_step_out_of_order_where_only_a_writer_can_look(empty: Bundle, capsys: Any) -> None:
    """A hot journal must be rolled back before anybody can see that `pragma` never ran."""
    leave_a_journal(empty)
    assert empty.run("core") == 3
    assert "Run `invoke pragma` first" in capsys.readouterr().err
    assert empty.rows("SELECT name FROM sqlite_schema") == [("mine",)]


def test_verify_of_a_database_that_was_left_open(empty: Bundle, capsys: Any) -> None:
    leave_a_journal(empty)
    assert empty.run("verify") == 2
    error = capsys.readouterr().err
    assert "left a -journal" in error
    assert "open it once for writing" in error
    assert empty.run("init") == 0


def leave_a_journal(bundle: Bundle) -> None:
    """Kill an application in the middle of a transaction that has reached the disk."""
    code = (
        "import os, sqlite3; c = sqlite3.connect('abathur.db', isolation_level=None);"
        "c.execute('CREATE TABLE mine (x)'); c.execute('PRAGMA cache_size = 2');"
        "c.execute('BEGIN'); c.executemany('INSERT INTO mine VALUES (?)', [('x' * 2000,)] * 500);"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=bundle.path.parent, check=False)
    assert bundle.path.with_name("abathur.db-journal").stat().st_size


def test_verify_of_a_locked_database_says_that_nothing_is_known(empty: Bundle, capsys: Any) -> None:
    empty.sql("CREATE TABLE mine (x)")
    holder = sqlite3.connect(empty.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert empty.run("verify") == 2
    error = capsys.readouterr().err
    assert "another process holds the lock" in error
    assert "Nothing is known about it" in error
    assert not empty.reports.exists()
    holder.close()


def test_wal_that_was_left_behind_stays_as_it_is(bundle: Bundle, tmp_path: Path) -> None:
    """An application crashed: what it committed is in the -wal, and `verify` reads it there."""
    code = (
        "import os, sqlite3; c = sqlite3.connect('abathur.db', isolation_level=None);"
        "c.execute(\"INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'a', 'u')\");"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    wal = bundle.path.with_name("abathur.db-wal")
    before = bundle.path.read_bytes(), wal.read_bytes()
    assert before[1]
    assert bundle.run("verify") == 0
    assert (bundle.path.read_bytes(), wal.read_bytes()) == before
    assert bundle.run("init") == 0
    assert bundle.rows("SELECT id FROM sessions") == [("s",)]
