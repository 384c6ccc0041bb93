"""Older databases on which `init` once went wrong, found by test_random_schemas.py."""

import pytest
from conftest import Bundle

from abathur_schema.declared import declared


def create(table: str, *changes: tuple[str, str]) -> str:
    """The declared CREATE TABLE with some of its text replaced."""
    sql = declared().schema.tables[table].sql
    for old, new in changes:
        assert old in sql
        sql = sql.replace(old, new, 1)
    return f"{sql};"


def sql_of(bundle: Bundle, table: str) -> str:
    ((sql,),) = bundle.rows(f"SELECT sql FROM sqlite_schema WHERE name = '{table}'")
    return str(sql)


def test_named_reference_of_a_column_is_kept(empty: Bundle) -> None:
    named = "created_by TEXT CONSTRAINT 'by (whom' REFERENCES agents ON DELETE CASCADE,"
    empty.sql(create("memory_entries", ("created_by  TEXT,", named), (" AUTOINCREMENT", "")))
    assert empty.run("init") == 0
    kept = "CONSTRAINT 'by (whom' FOREIGN KEY (\"created_by\") REFERENCES agents ON DELETE CASCADE"
    assert kept in sql_of(empty, "memory_entries")


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
    assert empty.report()["deliverables"]["tables_rebuilt"] == ["agents"]
