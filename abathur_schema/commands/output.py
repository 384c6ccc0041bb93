"""What the terminal shows: a line for each step, findings, failures."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TextIO

from ..declared.declaration import VERIFY
from ..planning.statement import Step
from ..record.conclusion import Record
from ..record.report import without_trace
from ..record.run import Run, failure_lines, what_changed
from ..storage.foreign_keys import Violations
from ..wording import as_called, on_one_line, shown

MAX_SHOWN = 20
"""How many findings of one check are printed; the report contains more."""


def say(text: str, stream: TextIO | None = None) -> None:
    """Print immediately. That nobody can read it (a closed pipe, a full disk) stops no work."""
    stream = stream or sys.stdout
    if stream is None:  # closed before the program started
        return
    text = as_called(text)
    encoding = stream.encoding or "ascii"
    try:
        # A path may contain bytes that no terminal can show.
        line = shown(text).encode(encoding, "backslashreplace").decode(encoding)
        print(line, file=stream, flush=True)
    except OSError:
        _fall_silent(stream)


def write_sql(sql: str) -> None:
    """Print SQL that is to be run, byte for byte; on a terminal, control characters are escaped."""
    if sys.stdout is None or sys.stdout.isatty():
        say(sql)
        return
    content = f"{sql}\n".encode("utf-8", "surrogateescape")
    try:
        sys.stdout.flush()
        if hasattr(sys.stdout, "buffer"):
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:  # a caller has replaced the stream
            sys.stdout.write(content.decode("utf-8", "replace"))
    except OSError:
        _fall_silent(sys.stdout)


def _fall_silent(stream: TextIO) -> None:
    # What remains in the buffer would fail again, with a stack trace, when Python exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say_step(step: Step, run: Run) -> None:
    """Print the outcome of a step."""
    say(_line(step, run))
    for note in step.notes:
        say(f"  note: {on_one_line(note)}", sys.stderr)


def _line(step: Step, run: Run) -> str:
    if step.status == "skipped":
        return f"{step.name:<15} skipped"
    if step.error:
        what = f"FAILED: {str(step.error).splitlines()[0]}"
    elif step.name == VERIFY:
        number = len(run.checks or ())
        what = f"FAILED: {len(run.faults)} of {number} checks" if run.faults else ""
        what = what or f"{number} checks passed"
    else:
        what = what_changed(step.ran) or "unchanged"
    return f"{step.name:<15} {what:<40} {step.duration_ms:>6.0f} ms"


def _check_lines(run: Run) -> Iterator[str]:
    """The findings of the checks that failed or have information."""
    for check in run.checks or ():
        if check.status != "pass":
            yield f"  {check.status}: {check.name}"
            yield from (f"    {on_one_line(finding)}" for finding in check.findings[:MAX_SHOWN])
            if check.count > MAX_SHOWN:
                yield f"    and {check.count - MAX_SHOWN} more; see the report"
    for remedy in run.remedies:
        yield f"  what to do: {remedy}"


def say_end(run: Run, recorded: Record, report: Path, *, as_json: bool) -> None:
    """Print the outcome of a run and the path of its report; with `as_json` only the report."""
    lines = [] if as_json else [*_check_lines(run)]
    if run.copy and not as_json:
        lines.append(f"a copy of the previous state: {run.copy.folder}")
    wrong = [*failure_lines(run)]
    if recorded.lost:
        wrong.append(f"the report could not be written: {recorded.lost}; it would be:")
        wrong.append(without_trace(recorded.content))
    else:
        lines.append(recorded.content.rstrip() if as_json else f"report: {report}")
    for line in lines:
        say(line)
    for line in wrong:
        say(line, sys.stderr)


def say_violations(found: Violations, database: Path) -> None:
    """Print the rows that had no parent before this run changed anything."""
    for line in _violation_lines(found, database):
        say(line, sys.stderr)


def _violation_lines(found: Violations, database: Path) -> Iterator[str]:
    if found.total:
        yield f"foreign key violations that existed before: {found.total}"
        yield from (f"  {on_one_line(line)}" for line in found.first)
        if found.total > len(found.first):
            yield f"  and {found.total - len(found.first)} more"
        yield "  this run adds none and repairs none; verify fails on them. To list them all:"
        yield f'    sqlite3 {quote(str(database))} "PRAGMA foreign_key_check"'
        yield "  To repair one: add its parent, set its column to NULL, or delete the row."
