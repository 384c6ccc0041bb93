"""Views, triggers and virtual tables of one's own schema: made, filled, changed, and proven."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.bundle import Bundle
from tests.support.commands import Invoke

OWN = """\
CREATE VIEW waiting AS SELECT id FROM tasks WHERE status = 'waiting';
CREATE TRIGGER seen AFTER UPDATE OF status ON tasks BEGIN
    INSERT INTO audit (timestamp, task_id, action_type) VALUES ('', new.id, 'status');
END;
"""


def test_view_and_trigger_are_created_changed_and_proven(invoke: Invoke, tmp_path: Path) -> None:
    own = tmp_path / "own" / "sql" / "core.sql"
    own.parent.mkdir(parents=True)
    own.write_text(OWN)
    made = invoke("init", "--schema", "own")
    assert (made.returncode, "1 view made, 1 trigger made" in made.stdout) == (0, True)
    own.write_text(OWN.replace("'waiting'", "'idle'"))
    found = invoke("verify", "--schema", "own")
    assert (found.returncode, "waiting has another definition" in found.stdout) == (1, True)
    planned = invoke("plan", "--schema", "own")
    assert 'DROP VIEW "waiting";' in planned.stdout
    assert invoke("init", "--schema", "own").returncode == 0
    assert invoke("verify", "--schema", "own").returncode == 0
    with closing(sqlite3.connect(tmp_path / "abathur.db")) as connection:
        text = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'waiting'").fetchone()
    assert "'idle'" in text[0]


TASK = """\
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'pack it', 'ready', '{}', '', '');
"""
VIEW = "CREATE VIEW waiting AS SELECT id, status FROM tasks;\n"
INSTEAD = """\
CREATE TRIGGER finish INSTEAD OF UPDATE ON waiting BEGIN
    UPDATE tasks SET status = new.status WHERE id = old.id;
END;
"""
# What is declared of the view's trigger before and after; the application creates it otherwise.
DECLARED = {"not at all": ("", ""), "unchanged": (INSTEAD, INSTEAD)}
DECLARED["changed"] = INSTEAD, INSTEAD.replace("new.status", "upper(new.status)")


@pytest.mark.parametrize("how", DECLARED)
def test_changed_view_keeps_its_triggers(how: str, invoke: Invoke, empty: Bundle) -> None:
    before, after = DECLARED[how]
    own = empty.path.parent / "own" / "sql" / "core.sql"
    own.parent.mkdir(parents=True)
    own.write_text(VIEW + before)
    assert invoke("init", "--schema", "own").returncode == 0
    empty.sql(TASK if before else TASK + INSTEAD)
    own.write_text(VIEW.replace("status", "status, prompt") + after)
    assert invoke("init", "--schema", "own").returncode == 0
    empty.sql("UPDATE waiting SET status = 'done'")
    status = "DONE" if how == "changed" else "done"
    assert empty.rows("SELECT status, prompt FROM waiting") == [(status, "pack it")]


LOG = "CREATE TABLE log (session_id TEXT);\n"
ON_A_PARENT = """\
CREATE TRIGGER logged AFTER INSERT ON sessions BEGIN INSERT INTO log VALUES (new.id); END;
"""
# The step core creates sessions too, as a parent of tasks; a view is there as a table is.
ON_WHAT_IS_THERE = {
    "a parent": {"core.sql": LOG + ON_A_PARENT},
    "a view of a step before": {"core.sql": VIEW, "memory.sql": INSTEAD},
}


@pytest.mark.parametrize("case", ON_WHAT_IS_THERE)
def test_trigger_is_created_on_what_is_there(case: str, invoke: Invoke, empty: Bundle) -> None:
    own = empty.path.parent / "own" / "sql"
    own.mkdir(parents=True)
    for name, text in ON_WHAT_IS_THERE[case].items():
        (own / name).write_text(text)
    made = invoke("init", "--schema", "own")
    assert (made.returncode, "1 trigger made" in made.stdout) == (0, True), made.stderr
    assert invoke("verify", "--schema", "own").returncode == 0


FILLED = """\
CREATE VIRTUAL TABLE {name} USING fts5(prompt);
INSERT INTO {name} (rowid, prompt) SELECT rowid, prompt FROM tasks;
"""
BY_PROMPT = """\
-- Tasks by a word of their prompt
-- index: {index}
SELECT rowid FROM {name} (:word);
"""


@pytest.mark.parametrize("name", ["prompts", '"Prompts"'])
def test_virtual_table_is_filled_by_the_insert_below_it(
    name: str, invoke: Invoke, bundle: Bundle
) -> None:
    bundle.sql(TASK)
    own = bundle.path.parent / "own"
    for path, text in (("sql/core.sql", FILLED), ("checks/plans/by-prompt.sql", BY_PROMPT)):
        (own / path).parent.mkdir(parents=True)
        (own / path).write_text(text.format(name=name, index=name.strip('"')))
    assert invoke("init", "--schema", "own").returncode == 0
    assert bundle.rows(f"SELECT prompt FROM {name} ('pack')") == [("pack it",)]
    assert invoke("init", "--schema", "own").stdout.count("unchanged") == 5


GROWN = {
    "a column to fill": "name TEXT NOT NULL",
    "a generated column": "length INTEGER NOT NULL AS (length(note)) STORED",
}


@pytest.mark.parametrize("case", GROWN)
def test_table_that_gets_a_column_is_no_other_applications(
    case: str, invoke: Invoke, bundle: Bundle
) -> None:
    table = "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)"
    bundle.sql(table)
    own = bundle.path.parent / "own" / "sql" / "core.sql"
    own.parent.mkdir(parents=True)
    own.write_text(table.replace(")", f", {GROWN[case]});"))
    assert invoke("init", "--schema", "own").returncode == 0
    assert len(bundle.rows("PRAGMA table_xinfo(notes)")) == 3


def test_rows_that_a_new_column_has_no_value_for_are_named(invoke: Invoke, bundle: Bundle) -> None:
    table = "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT);"
    bundle.sql(f"{table} INSERT INTO notes (note) VALUES ('a')")
    own = bundle.path.parent / "own" / "sql" / "core.sql"
    own.parent.mkdir(parents=True)
    own.write_text(table.replace(")", f", {GROWN['a column to fill']})"))
    result = invoke("init", "--schema", "own")
    assert result.returncode == 3
    assert "1 row violates this; the first is rowid 1" in result.stderr
    assert "a file in sql/upgrades/ with `fills: notes.name` would" in result.stderr
