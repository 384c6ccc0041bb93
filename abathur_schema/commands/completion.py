"""Completion in a shell, beyond what Invoke completes by itself (tasks and options): the files of
options, formats, kept states and reports. `invoke --print-completion-script bash` prints what a
shell needs.
"""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from .forms import FORMS
from .states import states

FILES = ("-d", "--database", "-r", "--reports", "-s", "--schema", "--output", "--file")
"""The options whose value is a path."""

FILES_OF = {"docs": ("-o",), "backup": ("-f",)}
"""Those that mean something else in other tasks."""


def candidates(line: str) -> list[str] | None:
    """What may stand at the end of a command line, which begins with the program; None where it is
    a task or an option.
    """
    try:
        _, *words = shlex.split(line)
    except ValueError:  # a quote is open
        return []
    if not words:
        return None
    task = next((word for word in words if not word.startswith("-")), "")
    files = (*FILES, *FILES_OF.get(task, ()))
    # The shell does not say whether the last word is finished, and filters what it gets.
    for place, word in enumerate(words[-2:][::-1]):
        begun = "" if place == 0 else words[-1]
        if word in files:
            return [*_files(begun)]
        if word in ("-f", "--format"):
            return [*FORMS]
    if words[-1].startswith("-"):
        return None
    reports = _reports(words)
    if task == "restore":
        return [*_states(reports)]
    if task == "show":
        return [str(path) for path in sorted(reports.glob("*.json"), reverse=True)]
    if task == "backup":
        return [*_files("" if words[-1] == task else words[-1])]
    return None


def _reports(words: Sequence[str]) -> Path:
    for option, value in pairwise(words):
        if option in ("-r", "--reports"):
            return Path(value)
    return Path(os.environ.get("INVOKE_REPORTS", "reports"))


def _states(reports: Path) -> Iterator[str]:
    for state in states(reports):
        yield str(state.folder)


def _files(begun: str) -> Iterator[str]:
    folder, _, start = begun.rpartition("/")
    with suppress(OSError):
        for path in sorted(Path(folder or ("/" if begun.startswith("/") else ".")).iterdir()):
            if path.name.startswith(start) and (start or not path.name.startswith(".")):
                name = f"{folder}/{path.name}" if "/" in begun else path.name
                yield f"{name}/" if path.is_dir() else name
