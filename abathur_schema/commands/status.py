"""`status`: one screen about a database in operation, as lines, JSON or Prometheus's metrics."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from ..interruption import stop_if_asked
from ..wording import on_one_line, size
from .output import say
from .terminal import BAD, GOOD, SOFT, STRONG, Painted, Part

Document = dict[str, Any]


def say_status(found: Document) -> None:
    """Print the screen."""
    for parts in _screen(found):
        say(*parts)


def _screen(found: Document) -> Iterator[tuple[Part, ...]]:
    log = found["wal"]
    yield _row("file", f"{size(found['bytes'])}, {size(found['free_bytes'])} of it free")
    waits = f"{log['waiting']:,} pages wait for a checkpoint" if log["waiting"] else "all copied"
    yield _row("log", f"{size(log['bytes'])}, {waits}; file last written {found['written_at']}")
    for holder in log["held_by"]:
        yield _row("", f"held by {holder}")
    opened = ", ".join(map(on_one_line, found["open_in"])) or "no other process that is seen"
    yield _row("open in", opened)
    reached = found["completion"] or "no milestone"
    complete = "complete" if found["schema_complete"] else "not complete"
    yield _row("schema", f"{reached}, {complete}", GOOD if found["schema_complete"] else BAD)
    last = found["last_verification"]
    if last:
        verdict = f"{last['failed']} of {last['checks']} checks failed"
        said = verdict if last["failed"] else f"all {last['checks']} checks passed"
        yield _row("verified", f"{last['time'][:19]}: {said}", BAD if last["failed"] else GOOD)
    else:
        yield _row("verified", "never, as far as the reports here tell")
    values = ", ".join(f"{name} {value}" for name, value in found["settings"].items())
    yield _row("settings", values)
    yield ("",)
    yield (Painted(f"{'table':<28} {'rows, at most':>14}  newest row", SOFT),)
    for table in found["tables"]:
        name = on_one_line(table["name"])[:28]
        newest = on_one_line(table["newest"] or "")
        theirs = "" if table["is_declared"] else "  (not managed here)"
        rows = "?" if table["rows"] is None else f"{table['rows']:,}"
        yield (f"{name:<28} {rows:>14}  {newest}{theirs}".rstrip(),)
    if found["attention"]:
        yield ("",)
    for one in found["attention"]:
        yield (Painted("! ", BAD), Painted(on_one_line(one["says"]), STRONG))
        yield (f"    `{on_one_line(one['command'])}`",)


def _row(label: str, text: str, style: str = "") -> tuple[Part, ...]:
    return f"{label:<10}", Painted(text, style)


METRICS: dict[str, tuple[str, Callable[[Document], Any]]] = {
    "abathur_database_bytes": ("Size of the database file.", lambda one: one["bytes"]),
    "abathur_free_bytes": ("Free pages in the file.", lambda one: one["free_bytes"]),
    "abathur_wal_bytes": ("Size of the write-ahead log.", lambda one: one["wal"]["bytes"]),
    "abathur_wal_waiting_pages": (
        "Pages of the log that are not in the file yet.",
        lambda one: one["wal"]["waiting"],
    ),
    "abathur_wal_holders": (
        "Processes whose old snapshot keeps the log from starting anew.",
        lambda one: len(one["wal"]["held_by"]),
    ),
    "abathur_open_processes": (
        "Other processes that have the file open.",
        lambda one: len(one["open_in"]),
    ),
    "abathur_schema_complete": (
        "Whether all tables and indexes are as declared.",
        lambda one: int(one["schema_complete"]),
    ),
    "abathur_last_verification_timestamp_seconds": (
        "When the database was last verified.",
        lambda one: _seconds((one["last_verification"] or {}).get("time")),
    ),
    "abathur_last_verification_failed_checks": (
        "Checks that failed then.",
        lambda one: (one["last_verification"] or {}).get("failed"),
    ),
    "abathur_attention": ("Things that need attention.", lambda one: len(one["attention"])),
}
"""By name, all of them gauges: what each is, and its value; None where it is not known."""


def prometheus(found: Document) -> str:
    """The status in Prometheus's text format ("Exposition formats")."""
    of = f'database="{_label(found["database"])}"'
    lines: list[str] = []
    for name, (help_, value) in METRICS.items():
        if (known := value(found)) is not None:
            lines += [f"# HELP {name} {help_}", f"# TYPE {name} gauge", f"{name}{{{of}}} {known}"]
    for name, help_, key in (
        ("abathur_table_rows", "Rows of a table, at most.", "rows"),
        ("abathur_table_newest_timestamp_seconds", "When the newest row was made.", "newest"),
    ):
        lines += [f"# HELP {name} {help_}", f"# TYPE {name} gauge"]
        for table in found["tables"]:
            known = table[key] if key == "rows" else _seconds(table[key])
            if known is not None:
                lines.append(f'{name}{{{of},table="{_label(table["name"])}"}} {known}')
    return "\n".join(lines)


def _label(text: str) -> str:
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _seconds(text: str | None) -> float | None:
    """A time as seconds since 1970; without a zone it is UTC."""
    try:
        time_ = datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    if time_.tzinfo is None:
        time_ = datetime.fromisoformat(f"{time_.isoformat()}+00:00")
    return time_.timestamp()


def watch(seconds: float, show: Callable[[], None]) -> None:
    """Show again and again, until Ctrl-C."""
    while True:
        show()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            stop_if_asked()
            time.sleep(min(left, 0.1))
