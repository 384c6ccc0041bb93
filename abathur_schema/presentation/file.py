"""What the file of a database contains, read at one moment: its size, rows, plans, namespaces."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..declared.declaration import Declared
from ..progress import Progress
from ..proof.trials import plan_of
from ..schema.model import Schema
from ..schema.text import fold
from ..storage.snapshot import Job, side_by_side
from .plain import name, plain
from .tables import Document, statement

MOST_NAMESPACES = 1_000
"""How many namespaces are listed; the rest is only counted."""


def plans(connection: sqlite3.Connection, declared: Declared) -> Iterator[Document]:
    """SQLite's plan here for each statement of `checks/plans/` and `checks/writes/`."""
    for file in (*declared.checks["plans"], *declared.checks["writes"]):
        try:
            lines = [plain(row[3]) for row in plan_of(connection, file)]
        except sqlite3.Error as error:
            lines = [f"cannot be planned here: {plain(error)}"]
        yield {**statement(file), "plan": lines}


def space(
    connections: Sequence[sqlite3.Connection], progress: Progress
) -> Mapping[str, tuple[int, int]] | None:
    """The bytes and the entries of each table and index, by name; None without dbstat, which some
    SQLite libraries lack. The large ones are read side by side.
    """
    connection = connections[0]
    if not connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'").fetchone():
        return None
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE rootpage")]

    def job(tree: str) -> Job[tuple[str, int, int]]:
        def measure(one: sqlite3.Connection) -> tuple[str, int, int]:
            row = (0, 0)
            with suppress(sqlite3.DatabaseError):  # damaged, as the checks report
                row = one.execute(_OF_A_TREE, (tree,)).fetchone()
            return tree, *row

        return Job(tree, 1, measure)

    found = side_by_side(connections, [*map(job, ("sqlite_schema", *names))], progress)
    return {tree: (size, entries) for tree, size, entries in found}


_OF_A_TREE = """
SELECT coalesce(sum(pgsize), 0), coalesce(sum(ncell) FILTER (WHERE pagetype = 'leaf'), 0)
  FROM dbstat WHERE name = ?"""


def namespaces(connection: sqlite3.Connection) -> Iterator[Document]:
    """The namespaces of current memories, with their number and the bytes of their values."""
    sql = Path(__file__).with_name("namespaces.sql").read_text("utf-8")
    with suppress(sqlite3.DatabaseError):  # damaged, or not as declared: as the checks report
        rows = connection.execute(sql).fetchall()
        yield from _tree([(str(one), number, size or 0) for one, number, size in rows])


def _tree(rows: Sequence[tuple[str, int, int]]) -> list[Document]:
    """Namespaces by their parts, the largest first."""
    root: Document = {"below": {}}
    for namespace, number, size in rows:
        branch = root
        for part in namespace.split(":"):
            branch = branch["below"].setdefault(part, {"memories": 0, "bytes": 0, "below": {}})
            branch["memories"] += number
            branch["bytes"] += size
    left = MOST_NAMESPACES

    def listed(below: Mapping[str, Any]) -> list[Document]:
        nonlocal left
        found: list[Document] = []
        order = sorted(below.items(), key=lambda pair: (-pair[1]["bytes"], pair[0]))
        for part, branch in order:
            if not left:
                more = order[len(found) :]
                found.append(
                    {
                        "name": f"and {len(more)} more",
                        "memories": sum(one["memories"] for _, one in more),
                        "bytes": sum(one["bytes"] for _, one in more),
                        "below": [],
                    }
                )
                break
            left -= 1
            found.append({"name": name(part), **branch, "below": []})
            found[-1]["below"] = listed(branch["below"])
        return found

    return listed(root["below"])


def free_bytes(connection: sqlite3.Connection) -> int:
    """The bytes of the pages that nothing uses."""
    page, free = (
        connection.execute(f"PRAGMA {one}").fetchone()[0] for one in ("page_size", "freelist_count")
    )
    return int(page * free)


def fill(tables: Sequence[Document], live: Schema, trees: Mapping[str, tuple[int, int]]) -> None:
    """Put rows and bytes into the tables and indexes of `presentation/tables.py`."""
    sizes = {fold(tree): found for tree, found in trees.items()}
    for table in tables:
        if found := sizes.get(fold(table["name"])):
            table["bytes"], entries = found
            there = live.tables.get(fold(table["name"]))
            if there and not there.without_rowid:
                table["rows"] = entries
        for index in table["indexes"]:
            if found := sizes.get(fold(index["name"])):
                index["bytes"] = found[0]
