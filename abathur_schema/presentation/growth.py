"""How a database grew: its size, rows and times, over the reports that are in a folder."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ..record.past import database_of, past_report
from .tables import Document

MOST_REPORTS = 200
"""How many reports are read, the newest of the folder."""

LARGEST_REPORT = 4 * 1024 * 1024
"""The bytes above which a report is passed over: it lists thousands of findings."""


def growth(folder: Path, database: str) -> list[Document]:
    """A point for each report about `database` in `folder`, oldest first: its time, the size of the
    file in bytes, the rows of all tables, the milliseconds of its steps; None where it says nothing
    about it.
    """
    reports = sorted(folder.glob("[0-9]*Z-*.json"), reverse=True)[:MOST_REPORTS]
    return [point for path in reversed(reports) for point in _point(path, database)]


def _point(path: Path, database: str) -> Iterator[Document]:
    with suppress(OSError, KeyError, TypeError, AttributeError):  # no report of ours
        report = past_report(path) if path.stat().st_size <= LARGEST_REPORT else None
        if report and database_of(report) == database:
            size = report.get("database") or {}
            rows = size.get("rows")
            yield {
                "time": report["execution_status"]["timestamp"],
                "task": report["environment"]["task"],
                "status": report["execution_status"]["status"],
                "bytes": size.get("bytes"),
                "rows": sum(rows.values()) if rows else None,
                "ms": sum(step["duration_ms"] for step in report["steps"]),
            }


WIDTH, HEIGHT = 300, 80


def chart(points: Sequence[Document], what: str) -> Document | None:
    """The line of a chart of WIDTH x HEIGHT, as the points of an SVG polyline, with the first,
    the last and the highest value; None where there are fewer than two values.
    """
    values = [(place, point[what]) for place, point in enumerate(points) if point[what] is not None]
    if len(values) < 2:
        return None
    high = max(value for _, value in values)
    steps = max(1, values[-1][0] - values[0][0])
    spots = [
        (
            round(4 + (place - values[0][0]) / steps * (WIDTH - 8), 1),
            round(HEIGHT - 6 - (value / high if high else 0) * (HEIGHT - 12), 1),
        )
        for place, value in values
    ]
    return {
        "line": " ".join(f"{x},{y}" for x, y in spots),
        "spots": spots,
        "first": values[0][1],
        "last": values[-1][1],
        "high": high,
    }
