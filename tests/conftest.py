"""Fixtures for the tests; what tests import is in `support/`."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from abathur_schema import Database
from tests.support.bundle import Bundle
from tests.support.commands import (
    ROOT,
    Faulty,
    Invoke,
    Told,
    invoke_command,
    invoke_from,
    no_trace,
    run,
)
from tests.support.machine import need, need_strace
from tests.support.rqlite import Cluster

# The normal run tries the same few examples each time; `pytest --hypothesis-profile=long` searches
# for new ones, and shrinks those that fail.
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


def pytest_configure() -> None:
    """Restore Ctrl-C: a shell's background job ignores it, and so would every process started."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report, after `pytest -m faults`, how many faults were injected and how the runs ended."""
    outcomes: dict[str, Counter[str]] = {}
    for result in terminalreporter.getreports("passed"):
        for name, value in result.user_properties:
            if name == "faults" and result.when == "call":
                kind, ended = value
                outcomes.setdefault(kind, Counter()).update(ended)
    for kind, ended in sorted(outcomes.items()):
        ways = "; ".join(f"{number} {how}" for how, number in sorted(ended.items()))
        terminalreporter.write_line(f"{kind}: {ended.total()} points: {ways}")


@pytest.fixture
def empty(tmp_path: Path) -> Bundle:
    """A bundle with no database yet."""
    return Bundle(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A finished database."""
    made = Bundle(tmp_path)
    assert made.run("init") == 0
    return made


@pytest.fixture(params=["file", "memory"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An initialized `Database`, once in a file and once in memory."""
    path = tmp_path / "swarm.db" if request.param == "file" else ":memory:"
    async with Database(path) as database:
        yield database


@pytest.fixture
async def file_db(tmp_path: Path) -> AsyncIterator[Database]:
    """An initialized `Database` in a file."""
    async with Database(tmp_path / "swarm.db") as database:
        yield database


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The nodes of `cluster`, started once in each process that runs tests."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """Three rqlite nodes with an empty database. Other tests use the same nodes."""
    running_cluster.empty()
    return running_cluster


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three rqlite nodes for one test alone, which may kill them."""
    with Cluster(tmp_path) as nodes:
        yield nodes


@pytest.fixture
def invoke(tmp_path: Path) -> Invoke:
    """Run `invoke ARGUMENTS` in `tmp_path` as a user would, without checking the result."""
    return invoke_from(tmp_path)


@pytest.fixture
def on_cluster(cluster: Cluster, invoke: Invoke) -> Told:
    """Run `invoke ARGUMENTS` on `cluster`. Return the exit code and what it says."""

    def run(*arguments: str) -> tuple[int, str]:
        result = invoke(*arguments, "--database", cluster.address)
        no_trace(result)
        return result.returncode, result.stdout + result.stderr

    return run


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout whose `sql/` and `checks/` a test may change."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    shutil.copy(ROOT / "tasks.py", copy)
    for folder in ("abathur_schema", "sql", "checks"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def invoke_in(tmp_path: Path, checkout: Path) -> Invoke:
    """Like `invoke`, with the tasks of `checkout`."""
    return invoke_from(tmp_path, checkout)


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    """Run `invoke` with a fault injected into its system calls, such as `fsync:error=EIO:when=2+`;
    with `on`, only into calls on that file. Return the result and the number of calls hit.
    """
    need_strace()

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


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that another user can reach, containing a world-writable `out/`."""
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
