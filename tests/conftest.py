"""What the tests share: databases made by the real steps, and the real `invoke`."""

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator

from abathur_schema import Database
from abathur_schema.commands.tasks import run_task

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "abathur_schema" / "record" / "report.schema.json").read_text("utf-8"))

# The same few examples each time; `pytest --hypothesis-profile=long` hunts among new ones, and
# looks for the smallest of those that fail.
settings.register_profile(
    "long",
    deadline=None,
    max_examples=5000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "short",
    settings.get_profile("long"),
    derandomize=True,
    max_examples=12,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("short")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other users need root")

Report = dict[str, Any]
Invoke = Callable[..., subprocess.CompletedProcess[str]]


def need(*commands: str) -> None:
    """Skip the test where one of these commands is not there."""
    missing = [command for command in commands if not shutil.which(command)]
    if missing:
        pytest.skip(f"not here: {', '.join(missing)}")


@contextmanager
def disk_of(size: int, folder: Path) -> Iterator[Path]:
    """A file system of `size` bytes at `folder`; the test is skipped where none can be mounted."""
    need("mount", "umount")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def invoke_command(*arguments: str, root: Path = ROOT) -> list[str]:
    """The command line of the real `invoke` on the tasks of a checkout."""
    return [sys.executable, "-m", "invoke", "--search-root", str(root), *arguments]


def environment(root: Path = ROOT, **variables: str) -> dict[str, str]:
    """The environment of this process without what a user's own configuration would add."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("INVOKE_")}
    return {**kept, "PYTHONPATH": str(root), **variables}


INVOKE_INIT = shlex.join(invoke_command("init"))


def run(
    command: Sequence[str], folder: Path, root: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` to its end; what it prints is kept, and nothing is checked."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(root, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def in_shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of bash in `folder`."""
    return run(["bash", "-c", script], folder)


def command_line(database: Path, sql: str) -> subprocess.CompletedProcess[str]:
    """Feed SQL to the command line of sqlite3, with the system's own library."""
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


def _invoke(folder: Path, root: Path) -> Invoke:
    return lambda *arguments, **variables: run(
        invoke_command(*arguments, root=root), folder, root, **variables
    )


@pytest.fixture
def invoke(tmp_path: Path) -> Invoke:
    """Run `invoke ARGUMENTS` in `tmp_path` as a user would type it; nothing is checked."""
    return _invoke(tmp_path, ROOT)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of one's own, whose `sql/` and `checks/` a test may change."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    shutil.copy(ROOT / "tasks.py", copy)
    for folder in ("abathur_schema", "sql", "checks"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def invoke_in(tmp_path: Path, checkout: Path) -> Invoke:
    """The same as `invoke`, with the tasks of `checkout`."""
    return _invoke(tmp_path, checkout)


Faulty = Callable[..., tuple[subprocess.CompletedProcess[str], int]]


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    """Run `invoke` with a fault in a system call, such as `fsync:error=EIO:when=2+`; with `on`,
    in those alone that have to do with this file.

    Returns what came of it, and how many calls were hit.
    """
    need("strace")
    trial = ["strace", "-o", os.devnull, "true"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")

    def fail(
        fault: str, *arguments: str, on: Path | None = None
    ) -> tuple[subprocess.CompletedProcess[str], int]:
        trace = tmp_path / "trace"
        calls = fault.partition(":")[0]
        strace = ["strace", "-f", "-o", str(trace), "-e", f"trace={calls}", "-e", f"inject={fault}"]
        if on:
            strace += ["-P", str(on)]
        result = run([*strace, *invoke_command(*arguments)], tmp_path)
        return result, trace.read_text("utf-8", "replace").count("INJECTED")

    return fail


def as_nobody(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `invoke` as a user without any right but to read."""
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    return run([*user, *invoke_command(*arguments)], cwd, HOME="/")


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that another user can reach, with a folder for reports that he may write."""
    need("setpriv")
    probe = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c", "import invoke"],
        capture_output=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip("another user cannot run this Python")
    folder = Path("/tmp") / f"abathur-shared-{os.getpid()}"
    folder.mkdir(mode=0o755)
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@cache
def _validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(SCHEMA)
    return Draft202012Validator(SCHEMA)


def valid(report: Report) -> Report:
    """The report, after holding it against the project's JSON Schema."""
    _validator().validate(report)
    return report


def reports(folder: Path) -> list[Report]:
    """The reports in a folder, oldest first, each held against the JSON Schema."""
    return [valid(json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]


class Bundle:
    """One database and its reports; tasks run inside this process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "abathur.db"
        self.reports = folder / "reports"

    def run(self, task: str) -> int:
        """Run a task and return its exit code."""
        return run_task(task, str(self.path), str(self.reports), as_json=False)

    def report(self) -> Report:
        """The newest report."""
        return reports(self.reports)[-1]

    def sql(self, script: str) -> None:
        """Change the database behind the project's back, foreign keys not enforced."""
        connection = sqlite3.connect(self.path)
        connection.executescript(script)
        connection.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query returns."""
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def failed(self) -> dict[str, list[str]]:
        """The findings of the checks that failed in the newest report, by name."""
        checks = self.report()["checks"]
        return {check["name"]: check["findings"] for check in checks if check["status"] == "fail"}


@pytest.fixture
def empty(tmp_path: Path) -> Bundle:
    """A place where no database is yet."""
    return Bundle(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A finished database."""
    made = Bundle(tmp_path)
    assert made.run("init") == 0
    return made


def pytest_configure() -> None:
    """As a background job of a shell this ignores Ctrl-C, and so would all that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After `pytest -m faults`: how many faults were made, and how the runs ended."""
    outcomes: dict[str, Counter[str]] = {}
    for result in terminalreporter.getreports("passed"):
        for name, value in result.user_properties:
            if name == "faults" and result.when == "call":
                kind, ended = value
                outcomes.setdefault(kind, Counter()).update(ended)
    for kind, ended in sorted(outcomes.items()):
        ways = "; ".join(f"{number} {how}" for how, number in sorted(ended.items()))
        terminalreporter.write_line(f"{kind}: {ended.total()} points: {ways}")


TASK = (
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
    " VALUES (?, 'do', 'ready', '{}', '2026-01-01', '2026-01-01')"
)
STATE = (
    "INSERT INTO state (task_id, key, value, created_at, updated_at) VALUES (?, 'k', '1', '', '')"
)


@pytest.fixture(params=["file", "memory"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An initialized database, once of each kind."""
    path = tmp_path / "swarm.db" if request.param == "file" else ":memory:"
    async with Database(path) as database:
        yield database


@pytest.fixture
async def file_db(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "swarm.db") as database:
        yield database


async def count(database: Database, table: str = "tasks") -> int:
    async with database.connection() as conn:
        rows = list(await conn.execute_fetchall(f"SELECT count(*) FROM {table}"))
    number: int = rows[0][0]
    return number
