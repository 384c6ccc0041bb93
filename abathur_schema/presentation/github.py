"""GitHub Actions: annotations at the lines of `sql/` and `checks/`, and the summary of a job
(GitHub's documentation, "Workflow commands for GitHub Actions").
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..wording import as_called
from .places import Place
from .results import Result

MOST_LINES = 50
"""How many findings of one result are listed in the summary."""

COMMANDS = {"fail": "error", "error": "error", "info": "notice"}
MARKS = {"fail": "❌", "error": "❌", "info": "ℹ️"}  # noqa: RUF001


def annotations(results: Sequence[Result]) -> Iterator[str]:
    """A workflow command for each finding, what failed first."""
    for status, command in COMMANDS.items():
        for result in (one for one in results if one.status == status):
            for finding in result.findings:
                where = _where(finding.place) if finding.place else ""
                remedy = f"\n{as_called(result.remedy)}" if result.remedy else ""
                title = _property(result.name)
                yield f"::{command} {where}title={title}::{_message(finding.text + remedy)}"


def _where(place: Place) -> str:
    """The place as properties of a command, if it is in the repository that is being checked."""
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    try:
        path = place.path.absolute().relative_to(root.absolute()).as_posix()
    except ValueError:
        return ""
    return f"file={_property(path)},line={place.line},"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def summary(title: str, line: str, results: Sequence[Result], sql: str = "") -> str:
    """The summary of a job, as Markdown; `sql` is what a plan would run."""
    told = [one for one in results if one.findings and one.status != "pass"]
    parts = [f"### {_inline(title)}", _inline(as_called(line))]
    if told:
        parts.append("\n".join(["| | check | finding |", "| --- | --- | --- |", *_rows(told)]))
    if sql:
        fence = "`" * max(3, 1 + _longest_run(sql))
        parts.append(f"<details><summary>SQL</summary>\n\n{fence}sql\n{sql}\n{fence}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _rows(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        mark = MARKS[result.status]
        for finding in result.findings[:MOST_LINES]:
            yield f"| {mark} | {_inline(result.name)} | {_inline(finding.text)} |"
        if len(result.findings) > MOST_LINES:
            more = len(result.findings) - MOST_LINES
            yield f"| {mark} | {_inline(result.name)} | and {more} more |"


def _inline(text: str) -> str:
    """Text that Markdown shows as it is, but for what stands between backticks: that is code."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:  # one is left over
        parts = [text.replace("`", "'")]
    return "".join(
        f"`{part.replace('|', BAR)}`" if place % 2 and part else _escaped(part)
        for place, part in enumerate(parts)
    )


BAR = "\\|"
"""A bar inside code inside a table."""


def _escaped(text: str) -> str:
    return re.sub(r"[\\*_\[\]<>|#~&]", lambda sign: f"&#{ord(sign[0])};", text)


def _longest_run(text: str) -> int:
    return max(map(len, "".join(c if c == "`" else " " for c in text).split()), default=0)


def write_summary(content: str) -> None:
    """Append to the summary of the job, where there is one. Raises OSError."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(content)
