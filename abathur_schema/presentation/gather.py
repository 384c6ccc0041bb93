"""The data of the page: what a report says, and what the file of the database says now."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from .. import __version__
from ..declared.declaration import Declared
from ..diagnosis import explain
from ..interruption import stop_if_asked, watched
from ..progress import Progress
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.text import fold
from ..storage.connection import undisturbed
from ..storage.snapshot import snapshot
from . import file
from .growth import growth
from .page import verdict
from .plain import plain
from .tables import Document, tables

MOST_FINDINGS = 100
MOST_STATEMENTS = 200
"""How many findings of a check, and statements of a step, are shown; the report has more."""

MOST_PARTS = 60
"""How many tables and indexes are listed by size; the rest is one line."""

SECONDS = 20.0
SECONDS_PER_BYTE = 5e-8
"""How long measuring may take, plus seconds per byte of the file; what is not done then is left
out."""

NOTHING = Schema({}, {}, {}, {})


def page_data(
    report: Document,
    path: Path,
    folder: Path,
    database: Path,
    declared: Declared,
    progress: Progress,
) -> Document:
    """All that the page shows, as JSON values. `path` is that of the report; `folder` is where
    other reports of the same database are looked for.
    """
    found: Document = {
        "version": __version__,
        "read_at": datetime.now(timezone.utc).isoformat(),
        "report_path": plain(path),
        "report": _shortened(report),
        "verdict": {one: plain(text) for one, text in verdict(report).items()},
        "database": {"name": plain(database.name), "path": plain(database), "unread": None},
    }
    is_damaged = any(one["status"] == "fail" and one["kind"] == "holds" for one in report["checks"])
    found |= _read(database, declared, progress, found["database"], not is_damaged)
    found["growth"] = growth(folder, str(database))
    return found


def _shortened(report: Document) -> Document:
    """The report, with only so many findings and statements as a page can show."""
    checks = [
        {**check, "findings": _first(check["findings"], MOST_FINDINGS)}
        for check in report["checks"]
    ]
    steps = [
        {
            **step,
            "statements": [
                {"sql": plain(one["sql"]), "reason": plain(one["reason"])}
                for one in step["statements"][:MOST_STATEMENTS]
            ],
            "notes": _first(step["notes"], MOST_FINDINGS),
            "attempts": [
                {"outcome": one["outcome"], "error": one["error"] and plain(one["error"])}
                for one in step["attempts"]
            ],
        }
        for step in report["steps"]
    ]
    failure = report["failure"] and {
        one: plain(value) if isinstance(value, str) else value
        for one, value in report["failure"].items()
        if one != "trace"
    }
    return {**report, "checks": checks, "steps": steps, "failure": failure}


def _first(lines: Sequence[str], most: int) -> list[str]:
    more = len(lines) - most
    return [plain(line) for line in lines[:most]] + ([f"and {more} more"] if more > 0 else [])


def _read(
    database: Path, declared: Declared, progress: Progress, about: Document, measures: bool
) -> Document:
    """What the file says; `about` is told its size, and why it could not be read, if so. Without
    `measures` its pages are not read: there might be no end of them.
    """
    wal = database.with_name(f"{database.name}-wal")
    about |= {
        "bytes": database.stat().st_size if database.exists() else None,
        "wal_bytes": wal.stat().st_size if wal.exists() else 0,
        "free_bytes": None,
    }
    try:
        if not database.exists():
            raise FileNotFoundError(f"there is no file {database}")
        return undisturbed(database, lambda: _look(database, declared, progress, about, measures))
    except Exception as error:  # whatever the reason, the report can be shown
        cause = explain(error, database)
        about["unread"] = plain(f"{error}: {cause.cause}; {cause.remedy}")
        return {"tables": tables(declared, NOTHING), "queries": [], "space": [], "namespaces": []}


def _look(
    database: Path, declared: Declared, progress: Progress, about: Document, measures: bool
) -> Document:
    with snapshot(database, declared.settings) as connections:
        connection = connections[0]
        live = read_schema(connection)
        wanted = declared.chosen(live)
        found = tables(wanted, live)
        about["free_bytes"] = file.free_bytes(connection)
        progress.now("measuring tables and indexes")
        seconds = SECONDS + SECONDS_PER_BYTE * (about["bytes"] or 0)
        with watched(connections, seconds):
            trees = file.space(connections, progress) if measures else {}
            spaces = list(file.namespaces(connection)) if measures else []
        progress.done()
        stop_if_asked()
        file.fill(found, live, trees or {})
        return {
            "tables": found,
            "queries": list(file.plans(connection, wanted)),
            "space": _parts(live, trees or {}),
            "namespaces": spaces,
        }


def _parts(live: Schema, trees: Mapping[str, tuple[int, int]]) -> list[Document]:
    """Tables and indexes by size, the indexes of a table below it."""
    whole = sum(size for size, _ in trees.values()) or 1
    owners = {index.name: fold(index.table) for index in live.indexes.values()}
    by_table: Counter[str] = Counter()
    for tree, (size, _) in trees.items():
        by_table[owners.get(tree, fold(tree))] += size

    def place(tree: str) -> tuple[int, str, bool, int]:
        owner = owners.get(tree, fold(tree))
        return -by_table[owner], owner, tree in owners, -trees[tree][0]

    order = sorted(trees, key=place)
    shown = [
        {
            "name": plain(tree),
            "kind": "index" if tree in owners else "table",
            "bytes": trees[tree][0],
            "share": trees[tree][0] / whole,
        }
        for tree in order[:MOST_PARTS]
    ]
    rest = sum(trees[tree][0] for tree in order[MOST_PARTS:])
    if rest:
        name = f"{len(order) - MOST_PARTS} more"
        shown.append({"name": name, "kind": "table", "bytes": rest, "share": rest / whole})
    return shown
