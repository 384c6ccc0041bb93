"""`checks/` read: the folder is the kind of check, each file is one check.

The first comment line of a file is the check's name. Further comment lines at its top may say more,
as `key: value`; `proof/trials.py` documents each key beside the function that uses it.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..schema import text as sql_text
from .declaration import bundled


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


@cache
def check_files(kind: str) -> tuple[CheckFile, ...]:
    """The files of one folder of `checks/`, by name. Raises UsageError with the file at fault."""
    folder = bundled("checks") / kind
    files = tuple(_read(kind, path) for path in sorted(folder.glob("*.sql")))
    if not files:
        raise UsageError(f"{folder} has no checks, and nothing would be proven. Restore it.")
    return files


def _read(kind: str, path: Path) -> CheckFile:
    name, says, statements = sql_text.read(path)
    file = CheckFile(kind, path, name, says, statements)
    if kind == "plans" and not indexes_of(file):
        raise UsageError(f"{path} needs a comment line `-- index: NAME` at its top.")
    return file


def indexes_of(file: CheckFile) -> list[str]:
    """The indexes that a query of `plans/` names."""
    return [name.strip() for name in file.says.get("index", "").split(",") if name.strip()]
