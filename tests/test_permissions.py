"""One permission is missing: what each task says, its exit code, and that nothing is changed.

The normal run tries a few of the cases, `pytest -m faults` all of them.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema.commands.tasks import run_task
from tests.support import older
from tests.support.commands import as_nobody, no_trace
from tests.support.fingerprints import files_below
from tests.support.machine import needs_root
from tests.support.promises import content

ROOT, NOBODY = 0, 65534

NO_READ = (2, "may not be read by this user. Run as the user who owns it")
NO_ENTRY = (2, "cannot be a database: Permission denied")
NO_REPORTS = (2, "reports cannot be written to")
NO_USE = (2, "may not be read and written by this user. Run as the user who owns it; nothing was")
NO_FILES = "may not create the -wal and -shm files beside it"
READ_ONLY = (3, "likely cause: this user may not write the database file or its folder")
FINDS = (1, "index idx_agents_state is missing")
"""What `verify` and `plan` say where they do not need the missing permission."""

Told = dict[str, tuple[int, str]]

CASES: dict[str, tuple[str, int, int, Told]] = {
    "a database that may not be read": (
        *("abathur.db", 0o600, ROOT),
        {"init": NO_READ, "verify": NO_READ, "plan": NO_READ, "restore": NO_READ},
    ),
    "a database that may not be written": (
        *("abathur.db", 0o644, ROOT),
        {"init": READ_ONLY, "verify": FINDS, "plan": FINDS, "restore": NO_USE},
    ),
    "a folder that may not be written": (
        *(".", 0o755, ROOT),
        {
            "init": (3, NO_FILES),
            "verify": (2, NO_FILES),
            "plan": (2, NO_FILES),
            "restore": (3, "likely cause: this user may not write there"),
        },
    ),
    "a folder that may not be entered": (
        *(".", 0o700, ROOT),
        {"init": NO_ENTRY, "verify": NO_ENTRY, "plan": NO_ENTRY, "restore": NO_ENTRY},
    ),
    "reports that may not be written": (
        *("out", 0o755, ROOT),
        {"init": NO_REPORTS, "verify": NO_REPORTS, "plan": FINDS, "restore": NO_REPORTS},
    ),
    "a -wal that may not be written": (
        *("abathur.db-wal", 0o644, ROOT),
        {"init": READ_ONLY, "verify": FINDS, "plan": FINDS, "restore": NO_USE},
    ),
    "a -wal that may not be read": (
        *("abathur.db-wal", 0o600, ROOT),
        {"init": (3, NO_FILES), "verify": (2, NO_FILES), "plan": (2, NO_FILES), "restore": NO_USE},
    ),
    "a -shm that may not be written": (
        *("abathur.db-shm", 0o644, ROOT),
        {"init": READ_ONLY, "verify": FINDS, "plan": FINDS, "restore": NO_USE},
    ),
    "a -shm that may not be read": (
        *("abathur.db-shm", 0o600, ROOT),
        {"init": (3, NO_FILES), "verify": (2, NO_FILES), "plan": (2, NO_FILES), "restore": NO_USE},
    ),
    "a preserved state that may not be entered": ("state", 0o700, ROOT, {"restore": NO_READ}),
    "a preserved state that may not be read": (
        *("state/database.db", 0o600, ROOT),
        {"restore": NO_READ},
    ),
}
"""The one thing that belongs to someone else, its mode, and what each task says."""

ALL = [
    pytest.param(case, task, id=f"{case}, {task}")
    for case, (*_, told) in CASES.items()
    for task in told
]
SAMPLE = [
    ("a database that may not be written", "restore"),
    ("a -wal that may not be read", "restore"),
    ("a preserved state that may not be entered", "restore"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with an index dropped in its `-wal` only, and a preserved state."""
    folder = tmp_path_factory.mktemp("permissions") / "made"
    folder.mkdir()
    database, kept = folder / "abathur.db", folder.parent / "reports"
    older.make(folder.parent / "a.db", 1)
    assert run_task("init", str(folder.parent / "a.db"), str(kept), as_json=False) == 0
    (state,) = kept.glob("*-before")
    state.rename(folder / "state")
    with closing(sqlite3.connect(folder.parent / "a.db")) as application:
        application.execute("DROP INDEX idx_agents_state")
        for suffix in ("", "-wal"):
            shutil.copy(folder.parent / f"a.db{suffix}", f"{database}{suffix}")
    (folder / "out").mkdir()
    return folder


def give(path: Path, mode: int, owner: int) -> None:
    """Make a file or folder belong to a user."""
    path.chmod(mode)
    os.chown(path, owner, owner)


@pytest.fixture
def place(made: Path, shared: Path) -> Iterator[Path]:
    """A copy of `made` that belongs to the other user."""
    folder = shared / "place"
    shutil.copytree(made, folder)
    for path in (folder, *folder.rglob("*")):
        give(path, 0o755 if path == folder else 0o700 if path.is_dir() else 0o644, NOBODY)
    yield folder
    give(folder, 0o755, ROOT)


def unchanged(folder: Path) -> dict[str, str]:
    """What no task may change: everything but the reports and the `-shm`, which readers use."""
    found = files_below(folder)
    return {path: sha for path, sha in found.items() if "/out/" not in path and path[-4:] != "-shm"}


def meet(case: str, task: str, place: Path) -> str:
    """Run the task as the other user, and check what it says; returns its exit code."""
    name, mode, owner, told = CASES[case]
    code, words = told[task]
    if name.endswith("-shm"):
        (place / name).write_bytes(bytes(32768))  # SQLite fills it again
    give(place / name, mode, owner)
    before, holds = unchanged(place), content(place / "abathur.db")
    arguments = [str(place / "state")] if task == "restore" else []
    options = ["-d", str(place / "abathur.db"), "-r", str(place / "out")]
    result = as_nobody(task, *arguments, *options, cwd=Path("/"))
    assert (result.returncode, words in result.stdout + result.stderr) == (code, True), result
    no_trace(result)
    assert unchanged(place) == before
    assert content(place / "abathur.db") == holds
    if code == 2:
        assert not [*(place / "out").iterdir()]
    return f"exit code {code}"


@needs_root
@pytest.mark.parametrize(("case", "task"), SAMPLE)
def test_some_rights_that_are_missing(case: str, task: str, place: Path) -> None:
    meet(case, task, place)


@needs_root
@pytest.mark.faults
@pytest.mark.parametrize(("case", "task"), ALL)
def test_every_right_that_is_missing(
    case: str, task: str, place: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("faults", (f"no right: {task}", {meet(case, task, place): 1}))
