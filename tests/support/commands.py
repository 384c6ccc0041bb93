"""Run real commands in separate processes: `invoke`, the script, a shell, `sqlite3`."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.machine import need

ROOT = Path(__file__).parent.parent.parent

Invoke = Callable[..., subprocess.CompletedProcess[str]]
"""The type of the fixtures `invoke` and `invoke_in`."""

Told = Callable[..., tuple[int, str]]
"""The type of the fixture `on_cluster`."""

Faulty = Callable[..., tuple[subprocess.CompletedProcess[str], int]]
"""The type of the fixture `faulty`."""


def invoke_command(*arguments: str, root: Path = ROOT) -> list[str]:
    """Return the command line that runs `invoke` with the tasks of a checkout."""
    return [sys.executable, "-m", "invoke", "--search-root", str(root), *arguments]


INVOKE_INIT = shlex.join(invoke_command("init"))


def environment(root: Path = ROOT, **variables: str) -> dict[str, str]:
    """Return the environment of this process without the user's own Invoke configuration, and
    without that of the CI that runs the tests.
    """
    others = ("INVOKE_", "GITHUB_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    return {**kept, "PYTHONPATH": str(root), **variables}


def run(
    command: Sequence[str], folder: Path, root: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` and capture its output; the exit code is not checked."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(root, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def invoke_from(folder: Path, root: Path = ROOT) -> Invoke:
    """Return a function that runs `invoke ARGUMENTS` in `folder`, with the tasks of `root`."""
    return lambda *arguments, **variables: run(
        invoke_command(*arguments, root=root), folder, root, **variables
    )


def as_nobody(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `invoke` as a user with read access only."""
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    return run([*user, *invoke_command(*arguments)], cwd, HOME="/")


def script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `scripts/initialize_database.py` in `folder`."""
    path = ROOT / "scripts" / "initialize_database.py"
    return run([sys.executable, str(path), *arguments], folder)


def in_shell(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a bash script in `folder`."""
    return run(["bash", "-c", text], folder)


def command_line(database: Path, sql: str) -> subprocess.CompletedProcess[str]:
    """Feed SQL to the `sqlite3` command line, which uses the system's SQLite library."""
    need("sqlite3")
    return subprocess.run(
        ["sqlite3", str(database)],
        input=sql,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        env={},
    )


def no_trace(result: subprocess.CompletedProcess[str]) -> None:
    """Fail if a stack trace reached the terminal."""
    assert "Traceback" not in result.stdout + result.stderr
