"""The state of a database in operation: what it costs a glance to know. Reads only."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import wording
from ..declared.declaration import Declared
from ..planning.broken_rows import rowid_of
from ..record.past import database_of, past_report
from ..record.run import Run
from ..schema.model import Schema, Table
from ..schema.reading import read_schema
from ..schema.text import quoted
from ..storage.connection import connect, undisturbed, unsettled
from ..storage.processes import named, processes_with
from ..storage.write_ahead_log import write_ahead_log

Document = dict[str, Any]

MOST_REPORTS = 100
"""How many reports are searched for the last verification, the newest first."""

LARGE_LOG = 64 * 1024 * 1024
"""The bytes of a `-wal` that need attention: 16 times what SQLite lets it grow to by itself."""

MUCH_FREE, LARGE_FREE = 0.25, 16 * 1024 * 1024
"""The free share of the file, and its bytes, from which a vacuum is worth it."""

DAYS = 7
"""How old the last verification may be."""

MANY_ROWS = 100_000
"""From how many rows on statistics are worth having."""


def status(database: Path, reports: Path, declared: Declared, options: str) -> Document:
    """All that `invoke status` shows, as JSON values: bytes, times in ISO 8601 (UTC). Rows are
    the span of the rowids of each table, which counting could only lower; None where it has none.
    The commands for what needs attention have `options`. Raises sqlite3.Error when the
    database cannot be read.
    """
    # Before there is a connection of ours: see `write_ahead_log`.
    log = write_ahead_log(database)
    shm = database.with_name(f"{database.name}-shm")
    file = database.stat()
    found: Document = {
        "database": str(database),
        "read_at": _iso(datetime.now(timezone.utc).timestamp()),
        "bytes": file.st_size,
        "written_at": _iso(file.st_mtime),
        "wal": {
            "bytes": log.bytes,
            "pages": log.pages,
            "waiting": log.waiting,
            "held_by": [named(process) for process in log.readers],
            "writer": named(log.writer) if log.writer else None,
        },
        "shm_bytes": shm.stat().st_size if shm.exists() else 0,
        "open_in": [named(process) for process in processes_with(database)],
    }
    found |= undisturbed(database, lambda: _read(database, declared))
    found["last_verification"] = last_verification(database, reports)
    found["attention"] = list(_attention(found, options))
    return found


def _read(database: Path, declared: Declared) -> Document:
    with closing(connect(database, "ro", declared.settings)) as connection:
        connection.execute("BEGIN")
        live = read_schema(connection)
        wanted = declared.chosen(live)
        page, pages, free = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        run = Run("status", database, wanted, live=live)
        unset = {setting.name: value for setting, value in unsettled(connection, wanted.settings)}
        return {
            "page_bytes": page,
            "free_bytes": page * free,
            "used_bytes": page * (pages - free),
            "completion": run.completion,
            "schema_complete": run.complete,
            "settings": {one.name: unset.get(one.name, one.value) for one in wanted.settings},
            "settings_declared": not unset,
            "has_statistics": bool(live.statistics),
            "tables": [*_tables(connection, wanted, live)],
        }


def _tables(connection: sqlite3.Connection, wanted: Declared, live: Schema) -> Iterator[Document]:
    ours = [name for name in wanted.names if name in live.tables]
    for name in dict.fromkeys([*ours, *sorted(live.tables)]):
        table = live.tables[name]
        if table.kind != "table" or name.startswith("sqlite_"):
            continue
        rows, newest = None, None
        if not table.without_rowid and (rowid := rowid_of(table)):
            with suppress(sqlite3.Error):  # damaged
                rows = _span(connection, table, rowid)
                if column := _time_of(table):
                    (newest,) = connection.execute(
                        f"SELECT {quoted(column)} FROM {quoted(table.name)}"
                        f" ORDER BY {rowid} DESC LIMIT 1"
                    ).fetchone() or (None,)
        yield {
            "name": table.name,
            "is_declared": name in wanted.schema.tables,
            "rows": rows,
            "newest": None if newest is None else str(newest)[:40],
        }


def _span(connection: sqlite3.Connection, table: Table, rowid: str) -> int:
    # Two SELECTs, because only a single min or max is looked up instead of read row by row.
    first, last = connection.execute(
        f"SELECT (SELECT min({rowid}) FROM {quoted(table.name)}),"
        f" (SELECT max({rowid}) FROM {quoted(table.name)})"
    ).fetchone()
    return 0 if last is None else int(last - first + 1)


def _time_of(table: Table) -> str | None:
    """The column that says when a row was made."""
    times = [
        column for column in table.columns if column.type.startswith(("TIMESTAMP", "DATETIME"))
    ]
    first = next((column for column in times if column.notnull), None)
    made = next((column for column in times if column.name == "created_at"), first)
    return made.name if made else None


def last_verification(database: Path, reports: Path) -> Document | None:
    """The time and the verdict of the newest report with checks of this database."""
    paths = (path for task in ("verify", "init") for path in reports.glob(f"[0-9]*Z-{task}.json"))
    for path in sorted(paths, key=lambda path: path.name, reverse=True)[:MOST_REPORTS]:
        report = past_report(path)
        if report and database_of(report) == str(database) and report["checks"]:
            return {
                "time": report["execution_status"]["timestamp"],
                "checks": len(report["checks"]),
                "failed": sum(check["status"] == "fail" for check in report["checks"]),
                "report": str(path),
            }
    return None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def _attention(found: Document, options: str) -> Iterator[Document]:
    """What needs attention, each with the command for it."""

    def line(says: str, task: str) -> Document:
        return {"says": says, "command": f"{wording.called} {task} {options}"}

    if not found["schema_complete"] or not found["settings_declared"]:
        yield line("the schema is not as declared", "plan")
    last = found["last_verification"]
    if not last:
        yield line("it was never verified, as far as the reports here tell", "verify")
    elif last["failed"]:
        yield line(f"{last['failed']} of {last['checks']} checks failed last time", "verify")
    elif _days_since(last["time"]) > DAYS:
        yield line(f"it was last verified {_days_since(last['time']):.0f} days ago", "verify")
    log = found["wal"]
    if log["bytes"] > LARGE_LOG:
        if log["waiting"] and log["held_by"]:
            holders = ", ".join(log["held_by"])
            says = f"the log cannot shrink while {holders} reads an old state: have it end that"
            yield line(says, "checkpoint --truncate")
        else:
            yield line("the log is large", "checkpoint --truncate")
    if found["free_bytes"] > max(LARGE_FREE, MUCH_FREE * found["bytes"]):
        yield line(f"{found['free_bytes'] / 1e6:,.0f} MB of the file are free", "vacuum")
    rows = max((table["rows"] or 0 for table in found["tables"]), default=0)
    if rows >= MANY_ROWS and not found["has_statistics"]:
        yield line(
            "it has no statistics, so SQLite guesses how many rows a search finds", "optimize"
        )


def _days_since(time: str) -> float:
    then = datetime.fromisoformat(time)
    return (datetime.now(timezone.utc) - then).total_seconds() / 86_400
