"""`checks/` read: the folder is the kind of check, each file is one check.

The first comment line of a file is the check's name. Further comment lines at its top may say more,
as `key: value`; `proof/trials.py` documents each key beside the function that uses it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..schema import text as sql_text


class CheckFile(NamedTuple):
    """One file of `checks/`; `says` are the `key: value` lines at its top."""

    kind: str
    path: Path
    name: str
    says: Mapping[str, str]
    statements: tuple[str, ...]

    @property
    def counts(self) -> str:
        """What the rows that it finds are called, where their number is of interest."""
        return self.says.get("counts", "")


KINDS = ("holds", "plans", "rejects", "accepts")


Checks = Mapping[str, tuple[CheckFile, ...]]
"""The files by kind, which is the name of their folder."""


def read_checks(ours: Path, own: Path | None) -> Checks:
    """The files of `checks/`, those of `own` after ours, by name. Raises UsageError with the file
    at fault, or with both where two have the same name.
    """
    checks = {}
    for kind in KINDS:
        files = [_read(kind, path) for path in sorted((ours / kind).glob("*.sql"))]
        if not files:
            raise UsageError(
                f"{ours / kind} has no checks, and nothing would be proven. Restore it."
            )
        if own:
            files += [_read(kind, path) for path in sorted((own / kind).glob("*.sql"))]
            _hold_apart(files)
        checks[kind] = tuple(files)
    return checks


def _hold_apart(files: Sequence[CheckFile]) -> None:
    known: dict[str, CheckFile] = {}
    for file in files:
        for name in (file.path.name, file.name):
            if name in known:
                raise UsageError(
                    f"{file.path} and {known[name].path} are both called {name!r}. Give the first"
                    " one another name."
                )
        known |= {file.path.name: file, file.name: file}


def _read(kind: str, path: Path) -> CheckFile:
    name, says, statements = sql_text.read(path)
    file = CheckFile(kind, path, name, says, statements)
    if kind == "plans" and not indexes_of(file):
        raise UsageError(f"{path} needs a comment line `-- index: NAME` at its top.")
    return file


def indexes_of(file: CheckFile) -> list[str]:
    """The indexes that a query of `plans/` names."""
    return [name.strip() for name in file.says.get("index", "").split(",") if name.strip()]
