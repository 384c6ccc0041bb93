"""The same work as a person would do it with the `sqlite3` command line."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from abathur_schema.declared.declaration import declared

UNGUARDED = ".dbconfig defensive off\n"
"""Newer command lines refuse to edit the schema's text without it."""

REBUILD_BY_HAND = """\
PRAGMA foreign_keys = OFF;
BEGIN IMMEDIATE;
{others}
{create}
{rows}
DROP TABLE {table};
ALTER TABLE new_{table} RENAME TO {table};
{indexes}
{check}
COMMIT;
"""

ROWS_BY_HAND = {
    "audit": """\
INSERT INTO new_audit (id, timestamp, agent_id, task_id, action_type, action_data, result)
SELECT id, timestamp, agent_id, task_id, action_type, action_data, result
FROM audit;
""",
    "tasks": """\
INSERT INTO new_tasks (rowid, id, prompt, priority, status, input_data, result_data, error_message,
    retry_count, max_retries, submitted_at, started_at, completed_at, last_updated_at, created_by,
    parent_task_id, dependencies)
SELECT rowid, id, template_name, priority, status, input_data, result_data, error_message,
    retry_count, max_retries, submitted_at, started_at, completed_at,
    coalesce(completed_at, started_at, submitted_at), created_by, parent_task_id, dependencies
FROM tasks;
""",
}
"""For audit of generation 3, and tasks of generation 1."""

OF_OTHERS = re.compile(
    r'^(CREATE TABLE (?!"?new_)|ALTER TABLE \S+ ADD COLUMN|UPDATE sqlite_schema'
    r"|PRAGMA writable_schema|(CREATE|DROP) VIEW)",
    re.MULTILINE,
)
"""Statements of our step that may concern tables other than the rebuilt one."""


def transaction(statements: Iterable[str]) -> str:
    """The statements in a transaction, as a step runs them."""
    return "\n".join(("BEGIN IMMEDIATE;", *statements, "COMMIT;", ""))


def rebuild(prepared: Path, table: str, statements: Iterable[str], check: str = "") -> str:
    """A script that rebuilds a table as documented by SQLite, and changes the other tables by the
    `statements` of our step, so that both end with the same schema.
    """
    others = [
        sql
        for sql in statements
        if OF_OTHERS.search(sql)
        and not sql.startswith(f'ALTER TABLE "{table}"')
        and not sql.endswith(f" name = '{table}';")
    ]
    with closing(sqlite3.connect(prepared)) as connection:
        indexes = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?"
            " AND sql IS NOT NULL",
            (table,),
        ).fetchall()
    return REBUILD_BY_HAND.format(
        table=table,
        others="\n".join(others),
        create=re.sub(
            rf"(?m)^CREATE TABLE {table}\b",
            f"CREATE TABLE new_{table}",
            declared().creates[table],
        ),
        rows=ROWS_BY_HAND[table],
        indexes="\n".join(f"{index};" for (index,) in indexes),
        check=check,
    )
