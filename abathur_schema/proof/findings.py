"""The outcome of a check: its findings, collected one by one and merged from its parts."""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..declared.check_files import CheckFile
from ..interruption import reason, stop_if_asked

MAX_FINDINGS = 10_000
LONGEST_FINDING = 1_000
"""The limits of a report for one check: the number of findings, and the characters of each. The
rest is only counted, so that report and memory stay small whatever is wrong.
"""

EACH = "table :table,"
"""The prefix of a finding about one table, where the check file does not set one (`each:`)."""


class Check(NamedTuple):
    """The outcome of a check. `status` is pass, fail or info; `number` counts the findings, of
    which the first `MAX_FINDINGS` are kept, and `counts` is what they are called, if anything;
    `remedy` says what to do when it fails. `completed` is false when the check was aborted.
    `duration_ms` is the total of its parts, which may have run in parallel.
    """

    name: str
    kind: str
    status: str
    findings: tuple[str, ...]
    number: int
    duration_ms: float
    counts: str = ""
    completed: bool = True
    remedy: str = ""


class Part(NamedTuple):
    """The outcome of a part of the check `of`: the first `MAX_FINDINGS` findings, the number of
    all, and why it was aborted, if so. `table` is the table concerned, if it is just one.
    """

    of: str
    findings: list[str]
    number: int
    error: str
    duration_ms: float
    table: str = ""


def draw(
    findings: Iterable[str], of: str, table: str = "", numbers: Iterator[int] | None = None
) -> Part:
    """Collect the findings of a part of a check; `numbers` counts those of all parts. Raises
    nothing: use `stop_if_asked` to learn of an interruption.
    """
    numbers = numbers or itertools.count()
    started = time.perf_counter()
    kept: list[str] = []
    count = 0
    broken_off = ""
    try:
        for finding in findings:
            count += 1
            if next(numbers) < MAX_FINDINGS:
                kept.append(cut(finding))
    except Exception as error:
        broken_off = reason(error)
    return Part(of, kept, count, broken_off, (time.perf_counter() - started) * 1000, table)


def cut(text: str, longest: int = LONGEST_FINDING) -> str:
    """The text cut to so many characters; names in a hostile file may have any length."""
    more = len(text) - longest
    return text if more <= 0 else f"{text[:longest]}... ({more} characters more)"


def check(
    name: str,
    kind: str,
    findings: Iterable[str],
    *,
    info: bool = False,
    counts: str = "",
    remedy: str = "",
) -> Check:
    """Run a check of one part; with `info`, its findings are not faults. Raises Interrupted."""
    stop_if_asked()
    return joined(name, kind, [draw(findings, name)], info=info, counts=counts, remedy=remedy)


def joined(
    name: str,
    kind: str,
    parts: Sequence[Part],
    *,
    info: bool = False,
    counts: str = "",
    each: str = EACH,
    remedy: str = "",
) -> Check:
    """Merge the parts of a check: first the findings about one table each, which begin as `each`
    says, then what could not be checked, then those about the whole that repeat none of them.

    An error counts as a finding: what cannot be read is not proven. Raises Interrupted.
    """
    stop_if_asked()
    told = {finding for part in parts if part.table for finding in part.findings}
    of_tables: list[str] = []
    of_whole: list[str] = []
    broken: list[str] = []
    count = 0
    for part in parts:
        count += part.number
        for finding in part.findings:
            if part.table:
                of_tables.append(cut(f"{each.replace(':table', part.table)} {finding}"))
            elif finding in told:
                count -= 1
            else:
                of_whole.append(finding)
        if part.error:
            of = f"table {cut(part.table)} " if part.table else ""
            broken.append(f"{of}could not be checked: {cut(part.error)}")
    count += len(broken)
    del of_tables[MAX_FINDINGS:], of_whole[max(0, MAX_FINDINGS - len(of_tables)) :]
    kept = [*of_tables, *broken, *of_whole]
    if count > len(kept):
        kept.append(f"and {count - len(kept)} more")
    status = "pass" if not count else "info" if info and not broken else "fail"
    milliseconds = sum(part.duration_ms for part in parts)
    remedy = (remedy or "report what could not be checked") if status == "fail" else ""
    return Check(name, kind, status, tuple(kept), count, milliseconds, counts, not broken, remedy)


BY_INIT = "`invoke plan` shows what `invoke init` would do about it"
IN_SQL = "change sql/ or checks/, which contradict each other"


def remedy_of(file: CheckFile) -> str:
    """What to do where the schema does not do what a check file requires."""
    return f"{BY_INIT}; if that is nothing, {file.path} requires what sql/ does not declare"
