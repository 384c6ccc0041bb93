"""Older databases that `init` once got wrong, found by test_random_schemas.py."""

import sqlite3
from contextlib import closing

import pytest

from abathur_schema.commands.show_plan import look
from abathur_schema.declared.declaration import declared
from abathur_schema.schema.reading import read_schema
from abathur_schema.storage.foreign_keys import violations
from tests.support.another_form import create, sql_of
from tests.support.bundle import Bundle
from tests.support.commands import Invoke
from tests.support.upgrading import planned_as_run, start


def test_named_reference_of_a_column_is_kept(empty: Bundle) -> None:
    named = "created_by TEXT CONSTRAINT 'by (whom' REFERENCES agents ON DELETE CASCADE,"
    empty.sql(create("memory_entries", ("created_by  TEXT,", named), (" AUTOINCREMENT", "")))
    assert empty.run("init") == 0
    assert named in sql_of(empty, "memory_entries")


CONFLICTS = {
    "of a column": ("updated_by  TEXT,", "updated_by TEXT UNIQUE ON CONFLICT REPLACE,"),
    "of the table": ("UNIQUE (", "UNIQUE (updated_by) ON CONFLICT REPLACE, UNIQUE ("),
    "in a CHECK": ("UNIQUE (", "CHECK (updated_by COLLATE NOCASE <> 'x'), UNIQUE ("),
}


@pytest.mark.parametrize("change", CONFLICTS.values(), ids=CONFLICTS)
def test_undeclared_constraint_with_clauses_of_its_own_is_no_difference(
    change: tuple[str, str], empty: Bundle
) -> None:
    empty.sql(create("memory_entries", change))
    assert empty.run("init") == 0
    assert empty.report()["deliverables"]["tables_rebuilt"] == []
    empty.sql("DROP TABLE memory_entries")
    empty.sql(create("memory_entries", change, (" AUTOINCREMENT", "")))
    assert empty.run("init") == 0
    assert empty.report()["deliverables"]["tables_rebuilt"] == ["memory_entries"]
    clause = change[1].partition("updated_by")[2].split(",")[0].removeprefix(" TEXT UNIQUE")
    assert clause.lstrip(")") in sql_of(empty, "memory_entries")


def test_primary_key_of_the_table_with_on_conflict_is_a_difference(empty: Bundle) -> None:
    last = "REFERENCES sessions(id) ON DELETE SET NULL"
    key = (last, f"{last}, PRIMARY KEY (id) ON CONFLICT REPLACE")
    empty.sql(create("agents", ("TEXT PRIMARY KEY", "TEXT"), key))
    assert empty.run("init") == 0
    assert empty.report()["deliverables"]["tables_changed"] == ["agents"]
    assert "ON CONFLICT" not in sql_of(empty, "agents")


NO_ROWIDS = {
    "no value": ("INT PRIMARY KEY", "NULL", "rowid 7, id NULL"),
    "a text": ("INT PRIMARY KEY", "'seven'", "rowid 7, id 'seven'"),
    "a blob": ("PRIMARY KEY", "x'37'", "rowid 7, id X'37'"),
    "a fraction": ("REAL PRIMARY KEY", "1.5", "rowid 7, id 1.5"),
}


@pytest.mark.parametrize(("form", "value", "named"), NO_ROWIDS.values(), ids=NO_ROWIDS)
def test_id_that_cannot_be_the_rowid_stops_the_step(
    form: str, value: str, named: str, empty: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    empty.sql(create("metrics", ("INTEGER PRIMARY KEY AUTOINCREMENT", form)))
    row = f"(rowid, id, timestamp, metric_name, metric_value) VALUES (7, {value}, 't', 'm', 1)"
    empty.sql(f"INSERT INTO metrics {row}")
    assert empty.run("init") == 3
    told = "metrics.id must be an integer, as it becomes the rowid: 1 row violates this"
    assert f"{told}; the first is {named}" in capsys.readouterr().err
    assert form in sql_of(empty, "metrics")


def test_values_that_are_equal_in_the_declared_type_stop_the_step(
    empty: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    empty.sql(create("sessions", ("TEXT PRIMARY KEY", "PRIMARY KEY")))
    empty.sql("INSERT INTO sessions (id, app_name, user_id) VALUES (5, 'a', 'u'), ('5', 'a', 'u')")
    assert empty.run("init") == 3
    told = "a row of sessions: UNIQUE constraint failed: new_sessions.id"
    assert told in capsys.readouterr().err


def test_orphans_that_nobody_could_count_before_are_no_fault_of_the_rebuild(empty: Bundle) -> None:
    empty.sql(create("tasks", ("TEXT PRIMARY KEY", "TEXT")))
    empty.sql(create("state", (" AUTOINCREMENT", "")))
    empty.sql("INSERT INTO state VALUES (1, 'gone', 'k', '1', 't', 't')")
    assert empty.run("init") == 1
    assert set(empty.failed()) == {"foreign_key_check"}


def test_plan_goes_on_where_no_foreign_key_can_be_checked(empty: Bundle, invoke: Invoke) -> None:
    start(empty, 3)
    (text,) = empty.rows("SELECT sql FROM sqlite_schema WHERE name = 'tasks'")[0]
    text = text.replace("KEY (`id`)", "KEY (`id` COLLATE NOCASE)", 1)
    empty.sql(f"PRAGMA legacy_alter_table = ON; DROP TABLE tasks; {text}")
    with pytest.raises(sqlite3.OperationalError, match="foreign key mismatch"):
        empty.rows("PRAGMA foreign_key_check")
    planned_as_run(empty, invoke)


def test_indexes_are_made_again_in_the_order_that_plan_says(bundle: Bundle) -> None:
    bundle.sql("DROP INDEX idx_agents_state; DROP TABLE document_index")
    bundle.sql(create("document_index", ("chunk_count     INTEGER", "chunk_count TEXT")))
    bundle.sql("CREATE INDEX own_b ON document_index(title DESC)")
    bundle.sql("CREATE INDEX own_a ON document_index(title, file_path)")
    # A step is planned on what the steps before it leave, which `plan` runs in memory.
    planned = [step.statements for step in look(bundle.path, declared()).steps]
    assert bundle.run("init") == 0
    ran = [step["statements"] for step in bundle.report()["steps"][:-1]]
    assert [[one.sql for one in of] for of in planned] == [[one["sql"] for one in of] for of in ran]


def test_constraints_without_commas_are_kept(empty: Bundle) -> None:
    more = "UNIQUE (updated_by) CHECK (created_by <> 'x') UNIQUE ("
    empty.sql(create("memory_entries", ("UNIQUE (", more), (" AUTOINCREMENT", "")))
    assert empty.run("init") == 0
    made = sql_of(empty, "memory_entries")
    assert more in made


def test_unique_index_of_another_collation_makes_no_parent_key(empty: Bundle) -> None:
    empty.sql("CREATE TABLE parent (k); CREATE UNIQUE INDEX i ON parent (k COLLATE NOCASE)")
    empty.sql("CREATE TABLE child (c TEXT REFERENCES parent(k))")
    with closing(sqlite3.connect(empty.path)) as connection:
        found = violations(connection, read_schema(connection))
    assert found.counts == {'child: foreign key mismatch - "child" referencing "parent"': 1}


LOST = {
    "where the id becomes the rowid": (
        create("metrics", ("INTEGER PRIMARY KEY AUTOINCREMENT", "INT"), ("TIMESTAMP", "TEXT"))
        + "INSERT INTO metrics (rowid, id, timestamp, metric_name, metric_value)"
        " VALUES (70, 7, ' 5', 'm', 1)",
        "metrics.timestamp must keep its value as TIMESTAMP: 1 row violates this; the first"
        " is rowid 70",
    ),
    "where the key itself changes": (
        create("agents", ("TEXT PRIMARY KEY", "REAL PRIMARY KEY")).replace(";", "WITHOUT ROWID;")
        + "INSERT INTO agents VALUES (0.1 + 0.2, '', '', '', '', '', '', '', '', NULL)",
        "agents.id must keep its value as TEXT: 1 row violates this; the first is id",
    ),
}


@pytest.mark.parametrize(("statements", "told"), LOST.values(), ids=LOST)
def test_value_that_would_change_stops_the_step(
    statements: str, told: str, empty: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    empty.sql(statements)
    assert empty.run("init") == 3
    assert told in capsys.readouterr().err


def test_broken_views_stand_aside_whatever_their_names(empty: Bundle) -> None:
    start(
        empty, 1, "CREATE VIEW a_1 AS SELECT * FROM gone; CREATE VIEW parsed AS SELECT * FROM gone;"
    )
    assert empty.run("init") == 0
