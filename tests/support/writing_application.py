"""An application of an older generation that keeps writing, and logs what was committed.

`python -m tests.support.writing_application GENERATION PAUSE DATABASE LOG` runs until its standard
input ends, pausing PAUSE seconds between transactions. Each line of the log is one transaction,
written after SQLite has acknowledged it: its rows as `[table, rowid, values]`, what was refused,
and the error if it was rolled back.
"""

import json
import select
import sqlite3
import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.older_applications import APPLICATIONS, Application

OTHERS: dict[str, tuple[str, ...]] = {
    "agents": ("task_id",),
    "state": ("task_id", "key"),
    "audit": ("task_id",),
    "metrics": (),
    "checkpoints": ("task_id", "iteration"),
}
"""The tables besides `tasks`, and the columns that `write` sets in them."""

Row = tuple[str, int, dict[str, Any]]


def write(
    application: Application,
    connection: sqlite3.Connection,
    number: int,
    task: str,
    done: list[Row],
) -> str:
    """Run one transaction: insert a task and a row in each other table, then update the task.

    Return why the task was refused, if it was; the rows then belong to `task`, an earlier one.
    """
    refused = ""
    try:
        name = str(uuid.uuid4())
        rowid = application.add(connection, "tasks", id=name)
        done.append(("tasks", rowid, _row(application, connection, "tasks", rowid)))
        task = name
    except sqlite3.Error as error:
        refused = str(error)
    given = {"task_id": task, "key": f"key {number}", "iteration": number}
    for table, columns in OTHERS.items():
        rowid = application.add(connection, table, **{name: given[name] for name in columns})
        done.append((table, rowid, _row(application, connection, table, rowid)))
    (rowid,) = connection.execute("SELECT rowid FROM tasks WHERE id = ?", (task,)).fetchone()
    changed = {"status": "running", "retry_count": number}
    connection.execute(
        "UPDATE tasks SET status = :status, retry_count = :retry_count WHERE rowid = :rowid",
        {**changed, "rowid": rowid},
    )
    done.append(("tasks", rowid, changed))
    return refused


def _row(
    application: Application, connection: sqlite3.Connection, table: str, rowid: int
) -> dict[str, Any]:
    names = application.columns(table)
    query = f"SELECT {', '.join(names)} FROM {table} WHERE rowid = ?"
    return dict(zip(names, connection.execute(query, (rowid,)).fetchone(), strict=True))


def main() -> None:
    """Write until standard input ends."""
    application, pause = APPLICATIONS[int(sys.argv[1])], float(sys.argv[2])
    database, log = sys.argv[3], Path(sys.argv[4])
    number, task = 0, ""
    with closing(sqlite3.connect(database)) as connection, log.open("w") as lines:
        while not select.select([sys.stdin], [], [], pause)[0]:
            number += 1
            done: list[Row] = []
            line: dict[str, Any] = {"rows": done, "refused": "", "error": ""}
            try:
                with connection:
                    line["refused"] = write(application, connection, number, task, done)
            except sqlite3.Error as error:
                line |= {"rows": [], "error": str(error)}
            print(json.dumps(line), file=lines, flush=True)
            task = task or next((row["id"] for table, _, row in done if table == "tasks"), "")


if __name__ == "__main__":
    main()
