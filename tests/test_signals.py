"""Ctrl-C and SIGTERM at any time while the real `invoke` runs, from Python's start to its end.

`tests/test_faults.py` sends them at every write and sync.
"""

import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support.bundle import Bundle, reports
from tests.support.commands import Faulty, environment, invoke_command
from tests.support.machine import need
from tests.support.promises import Outcome, Scenario
from tests.support.scenarios import SCENARIOS, Upgrade

SAMPLE = 2
"""The number of moments for each signal in the normal run."""

MOMENTS = 15
PARTS = 4
"""Each signal comes at MOMENTS moments in each of PARTS tests, which can run in parallel."""

Outcomes = Counter[str]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Large(Upgrade):
    """The same, with so many rows that SQLite works most of the time."""

    rows: ClassVar[Mapping[str, Any]] = {"tasks": 10_000, "audit": 20_000}


COMMANDS: Mapping[str, tuple[Callable[[Path], Scenario], Sequence[str]]] = {
    "fresh": (SCENARIOS["fresh"], ("init",)),
    "upgrade": (SCENARIOS["upgrade"], ("init",)),
    "large": (Large, ("init",)),
    "restore": (SCENARIOS["restore"], ("restore", "state")),
    "failing": (SCENARIOS["failing"], ("init",)),
    "verify": (SCENARIOS["verify"], ("verify",)),
}


class Command:
    """A real `invoke` command in a scenario, and how long it takes without a signal."""

    def __init__(self, name: str, folder: Path) -> None:
        made, arguments = COMMANDS[name]
        self.scenario = made(folder / "start")
        self.scenario.make()
        self.line = invoke_command(*arguments)
        shutil.copytree(self.scenario.start, folder / "timed")
        started = time.perf_counter()
        code, output, error, _ = self.run(folder / "timed")
        self.lasts = time.perf_counter() - started
        self.scenario.ended(folder / "timed", Outcome(code, output, error))

    def run(
        self, folder: Path, number: signal.Signals | None = None, moment: float = 0
    ) -> tuple[int, str, str, bool]:
        """Run it, send it the signal after so many seconds, and wait for its end. Also returns
        whether it had ended before the signal.
        """
        process = subprocess.Popen(
            self.line,
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        late = False
        if number:
            time.sleep(moment)
            late = process.poll() is not None
            process.send_signal(number)
        output, error = process.communicate(timeout=60)
        return process.returncode, output, error, late

    def meet(self, folder: Path, number: signal.Signals, moment: float) -> str:
        """Check the promises on what the signal left; returns how the run ended."""
        shutil.copytree(self.scenario.start, folder)
        code, output, error, late = self.run(folder, number, moment)
        found = reports(folder / "reports")
        assert not [*(folder / "reports").rglob(".*"), *folder.glob(".*")], "a temporary file"
        ended = f"exit code {code}" + (" before the signal" if late else "")
        if code not in (128 + number, self.scenario.ends_with):
            # Outside of our code Python is killed by it, or Invoke exits with 1.
            assert code == -number or (code, number) == (1, signal.SIGINT), error
            ended = "ended by the signal"
            if not found:
                assert _files(folder) == _files(self.scenario.start), "something was touched"
                self.scenario.again(folder)
                return f"{ended} while it was loading"
        assert "Traceback" not in output + error
        (report,) = found
        if code == 128 + number:
            assert "interrupted; run the same command again to finish" in error
            assert report["failure"]["error"].startswith("interrupted")
        state = self.scenario.hold(folder, Outcome(code, output, error, signalled=True))
        return f"{ended}, {state}"

    def meet_all(self, number: signal.Signals, how_many: int, seed: int, folder: Path) -> Outcomes:
        """Send the signal at so many random moments; returns how often the run ended how."""
        chosen = random.Random(f"{number} {seed}")
        outcomes: Outcomes = Counter()
        for at in range(how_many):
            moment = self.lasts * (at + chosen.random()) / how_many
            outcomes[self.meet(folder / f"{at}", number, moment)] += 1
            shutil.rmtree(folder / f"{at}")
        return outcomes


Ready = Callable[[str], Command]


def _files(folder: Path) -> dict[Path, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    """The command of that name, set up once."""
    need("strace")
    commands: dict[str, Command] = {}

    def get(name: str) -> Command:
        if name not in commands:
            commands[name] = Command(name, tmp_path_factory.mktemp("command"))
        return commands[name]

    return get


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_at_some_moments(number: signal.Signals, ready: Ready, tmp_path: Path) -> None:
    ready("upgrade").meet_all(number, SAMPLE, 0, tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", COMMANDS)
def test_signal_at_many_moments(
    name: str,
    number: signal.Signals,
    part: int,
    ready: Ready,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    outcomes = ready(name).meet_all(number, MOMENTS, part, tmp_path)
    record_property("faults", (f"{name}, {number.name} at any time", dict(outcomes)))


def test_restore_that_is_interrupted_does_not_call_the_copy_damaged(
    bundle: Bundle, faulty: Faulty
) -> None:
    """SQLite ends integrity_check with "interrupted", which says nothing about the copy."""
    bundle.sql(
        "CREATE TABLE many (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " LIMIT 400000) INSERT INTO many SELECT i FROM n"
    )
    state = bundle.path.with_name("state")
    state.mkdir()
    shutil.copy(bundle.path, state / "database.db")
    before = bundle.path.read_bytes()
    result, _ = faulty("fsync:signal=INT:when=1", "restore", str(state))
    assert "interrupted" in result.stderr
    assert "damaged" not in result.stderr
    assert result.returncode == 130
    assert bundle.path.read_bytes() == before
    assert bundle.report()["failure"]["error"].startswith("interrupted")
