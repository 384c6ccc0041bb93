"""Tables that differ from their declared form, as applications or hand edits leave them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

from abathur_schema.declared.declaration import declared
from tests.support.bundle import Bundle

TASKS = "'a', 'do', 'general', 5, 'ready', '{}', NULL, NULL, 0, 3, 3600, 's', NULL, NULL, 'u'"
"""The values of a row of tasks; the columns after these may be NULL."""


def create(table: str, *changes: tuple[str, str]) -> str:
    """Return the declared CREATE TABLE with some of its text replaced."""
    sql = declared().schema.tables[table].sql
    for old, new in changes:
        assert old in sql
        sql = sql.replace(old, new, 1)
    return f"{sql};"


def remake(bundle: Bundle, table: str, change: Callable[[str], str], values: str = "") -> None:
    """Replace a table of a finished database with one in another form, and recreate its indexes."""
    text = declared().schema.tables[table].sql
    other = change(text)
    assert other != text
    row = f"INSERT INTO {table} VALUES ({values});" if values else ""
    indexes = bundle.rows(
        f"SELECT sql FROM sqlite_schema WHERE tbl_name = '{table}' AND type = 'index'"
    )
    again = ";".join(sql for (sql,) in indexes if sql)
    bundle.sql(f"PRAGMA legacy_alter_table = ON; DROP TABLE {table}; {other}; {again}; {row}")


def rewrite(bundle: Bundle, name: str, old: str, new: str) -> None:
    """Change the text of a table or an index in sqlite_schema, and nothing else."""
    assert old in sql_of(bundle, name)
    with closing(sqlite3.connect(bundle.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?", (old, new, name)
        )
        connection.execute("PRAGMA writable_schema = RESET")


def sql_of(bundle: Bundle, name: str) -> str:
    """Return the text of a table or an index."""
    ((sql,),) = bundle.rows(f"SELECT sql FROM sqlite_schema WHERE name = '{name}'")
    return str(sql)
