"""What the terminal shows: a line for each step, findings, failures."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from ..declared.declaration import BACKUP, VERIFY
from ..place import Place
from ..planning.statement import Statement, Step
from ..proof.findings import MAX_FINDINGS
from ..record.conclusion import Record, exit_code
from ..record.report import without_trace
from ..record.run import Run, failure_lines, what_changed
from ..storage.foreign_keys import Violations
from ..wording import as_called, on_one_line, quote, shown
from .forms import GITHUB, JSON, JUNIT, SARIF, TEXT
from .terminal import (
    BAD,
    GOOD,
    SOFT,
    STRONG,
    Painted,
    Part,
    is_coloured,
    is_terminal,
    painted,
    width,
    wrapped,
)

if TYPE_CHECKING:  # only some forms need them
    from ..presentation.results import Result
    from .contrast import Contrast

MAX_SHOWN = 20
"""How many findings of one check are printed; the report contains more."""


def say(*parts: Part, stream: TextIO | None = None) -> None:
    """Print a line immediately. That nobody can read it (a closed pipe) stops no work."""
    stream = stream or sys.stdout
    if stream is None:  # closed before the program started
        return
    encoding = stream.encoding or "ascii"
    in_colours = is_coloured(stream)
    line = ""
    for part in parts:
        text, style = part if isinstance(part, Painted) else (part, "")
        # A path may contain bytes that no terminal can show.
        text = shown(as_called(text)).encode(encoding, "backslashreplace").decode(encoding)
        line += painted(text, style) if style and in_colours else text
    try:
        print(line, file=stream, flush=True)
    except OSError:
        _fall_silent(stream)


def say_wrong(text: str) -> None:
    """Print on standard error."""
    say(text, stream=sys.stderr)


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


class Manner(NamedTuple):
    """How much is said, and in which form (`commands/forms.py`)."""

    form: str = TEXT
    quiet: bool = False
    verbose: bool = False

    @property
    def in_lines(self) -> bool:
        """Whether people read it as it happens."""
        return self.form in (TEXT, GITHUB)


def say_statement(statement: Statement) -> None:
    """Print a statement that is about to run, and why."""
    if statement.reason:
        say(Painted(f"  -- {on_one_line(statement.reason)}", SOFT))
    for line in statement.sql.splitlines():
        say(Painted(f"  {line}", SOFT))


def say_step(step: Step, run: Run, manner: Manner) -> None:
    """Print the outcome of a step; a quiet manner prints only failures."""
    if not manner.quiet or step.error or (step.name == VERIFY and run.faults):
        say(*_line(step, run))
    for note in step.notes:
        for line in wrapped(f"note: {on_one_line(run.here(note))}", 2, sys.stderr):
            say_wrong(line)


def _line(step: Step, run: Run) -> tuple[Part, ...]:
    if step.status == "skipped":
        return (Painted(f"{step.name:<15} skipped", SOFT),)
    style = ""
    if step.error:
        what, style = f"FAILED: {str(step.error).splitlines()[0]}", BAD
    elif step.name == VERIFY:
        number = len(run.checks or ())
        what, style = f"{number} checks passed", GOOD
        if run.faults:
            what, style = f"FAILED: {len(run.faults)} of {number} checks", BAD
    elif step.name == BACKUP:
        copied = run.copy.files[0] if run.copy else run.made[-1]
        what = f"{copied.stat().st_size / 1e6:,.1f} MB copied"
        if run.checks is not None:
            passed = len(run.checks) - len(run.faults)
            what += f", {passed} of {len(run.checks)} checks of it passed"
            style = BAD if run.faults else GOOD
    else:
        what = what_changed(step.ran) or "unchanged"
    return f"{step.name:<15} ", Painted(f"{what:<40}", style), f" {step.duration_ms:>6.0f} ms"


def _say_checks(run: Run, manner: Manner) -> None:
    """Print the findings of the checks that failed or have information."""
    compared: Mapping[str, Sequence[Contrast]] = {}
    if run.faults and sys.stdout and is_terminal(sys.stdout):
        from .contrast import contrasts  # only a terminal with something to compare needs it

        compared = contrasts(run.declared, run.live)
    for check in run.checks or ():
        if check.status == "pass" or (manner.quiet and check.status != "fail"):
            continue
        say(
            "  ",
            Painted(f"{check.status}:", BAD if check.status == "fail" else SOFT),
            f" {check.name}",
        )
        for finding in check.findings[:MAX_SHOWN]:
            if pairs := compared.get(finding, ()):
                _say_contrasts(pairs)
            else:
                for line in wrapped(on_one_line(finding), 4, sys.stdout):
                    say(line)
        if check.number > MAX_SHOWN:
            is_whole = len(check.findings) >= check.number
            where = "see the report" if is_whole else f"the report has the first {MAX_FINDINGS}"
            say(f"    and {check.number - MAX_SHOWN} more; {where}")
    for remedy in run.remedies:
        first, *more = wrapped(f"what to do: {run.here(remedy)}", 2, sys.stdout)
        say(Painted(first, STRONG))
        for line in more:
            say(Painted(line, STRONG))


def _say_contrasts(pairs: "Sequence[Contrast]") -> None:
    """Print what is there beside what is declared: on one line, or on two where it is too long."""
    columns = width(sys.stdout) or 80
    half = (columns - 6) // 2
    for of, pairs_of in groupby(pairs, key=lambda pair: pair.of):
        say(f"    {on_one_line(of)}")
        for pair in pairs_of:
            there = f"- {on_one_line(pair.there)}" if pair.there else "- (missing)"
            wanted = f"+ {on_one_line(pair.declared)}" if pair.declared else "+ (none)"
            if max(len(there), len(wanted)) < half:
                say("      ", Painted(f"{there:<{half - 1}}", BAD), Painted(wanted, GOOD))
                continue
            for text, style in ((there, BAD), (wanted, GOOD)):
                for line in wrapped(text, 6, sys.stdout):
                    say(Painted(line, style))


def say_end(run: Run, recorded: Record, report: Path, manner: Manner) -> None:
    """Print the outcome of a run and the path of its report, or the whole in another form."""
    if manner.in_lines:
        _say_checks(run, manner)
        if run.copy:
            what = "the backup" if run.task == BACKUP else "a copy of the previous state"
            say(f"{what}: {run.copy.folder}")
    if manner.form == JSON and not recorded.lost:
        say(recorded.content.rstrip())
    elif not manner.in_lines:
        _say_results(run, manner)
    elif not recorded.lost and not (manner.quiet and exit_code(run, recorded) == 0):
        say(f"report: {report}")
    for line in failure_lines(run):
        first, *more = wrapped(line, 0, sys.stderr)
        say(
            Painted(first, BAD if line.startswith(f"{run.steps[0].name}") else ""),
            stream=sys.stderr,
        )
        for one in more:
            say_wrong(one)
    if recorded.lost:
        say_wrong(f"the report could not be written: {recorded.lost}; it would be:")
        say_wrong(without_trace(recorded.content))
    if manner.form == GITHUB:
        _say_results(run, manner)


def _say_results(run: Run, manner: Manner) -> None:
    from ..presentation.results import of_run  # only these forms pay for the import

    results = of_run(run)
    say_results(run.task, str(run.database), results, manner.form, run.summary())


def say_results(
    task: str, database: str, results: "Sequence[Result]", form: str, line: str, sql: str = ""
) -> None:
    """Print results in a form that CI systems read. In GitHub Actions they are annotations, on
    standard error, which the runner reads too, and the summary of the job.
    """
    if form == JUNIT:
        from ..presentation.junit import junit

        write_sql(junit(task, database, results))
    elif form == SARIF:
        from ..presentation.sarif import sarif

        say(sarif(results))
    elif form == GITHUB:
        from ..presentation.github import annotations, summary, write_summary

        for command in annotations(results):
            say_wrong(command)
        try:
            write_summary(summary(f"invoke {task}", line, results, sql))
        except OSError as error:
            say_wrong(f"the summary of the job could not be written: {error}")


def say_violations(found: Violations, database: Place) -> None:
    """Print the rows that had no parent before this run changed anything."""
    for line in _violation_lines(found, database):
        say_wrong(line)


def _violation_lines(found: Violations, database: Place) -> Iterator[str]:
    if found.total:
        yield f"foreign key violations that existed before: {found.total}"
        yield from (f"  {on_one_line(line)}" for line in found.first)
        if found.total > len(found.first):
            yield f"  and {found.total - len(found.first)} more"
        yield "  this run adds none and repairs none; verify fails on them. To list them all:"
        yield f'    sqlite3 {quote(str(database))} "PRAGMA foreign_key_check"'
        yield "  To repair one: add its parent, set its column to NULL, or delete the row."
