"""Older databases on which `init` once went wrong, found by test_random_schemas.py."""

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
