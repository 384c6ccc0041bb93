"""Read `checks/`: a folder is a kind of check, a file in it is one check.

The first comment line of a file is the name of its check. The comment lines below may add
`key: value` pairs; `proof/trials.py` documents each key beside the function that uses it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..schema import text as sql_text


class CheckFile(NamedTuple):
    """A file of `checks/`; `says` are the `key: value` pairs at its top."""

    kind: str
    path: Path
    name: str
    says: Mapping[str, str]
    statements: tuple[str, ...]

    @property
    def counts(self) -> str:
        """What its findings are called where their number is reported; otherwise empty."""
        return self.says.get("counts", "")


KINDS = ("holds", "plans", "writes", "rejects", "accepts")


Checks = Mapping[str, tuple[CheckFile, ...]]
"""The files by kind, that is, by the name of their folder."""


def read_checks(ours: Path, own: Path | None) -> Checks:
    """Read the files of `checks/`, then those of `own`, sorted by name. Raises UsageError naming
    the file at fault, or both files if they have the same name.
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
    """The indexes named by a statement of `plans/` or `writes/`."""
    return [name.strip() for name in file.says.get("index", "").split(",") if name.strip()]
