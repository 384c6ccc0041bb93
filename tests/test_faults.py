"""A real fault at every single write and sync: nothing is lost, and the next run ends well.

The normal run tries a sample of the points, `pytest -m faults` all of them. Each point is a process
of its own, in which strace makes one system call fail, or kills or signals the process there.
"""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.machine import need_strace
from tests.support.promises import FAST, Scenario, hold_all
from tests.support.scenarios import SCENARIOS

SAMPLE = 1
"""The number of points of each kind in the normal run."""

PARTS = 8
"""The points of each kind are split among so many tests, which can run in parallel."""

WRITES = ("pwrite64", "write")
SYNCS = ("fsync", "fdatasync")
CHANGES = (*WRITES, "ftruncate", "rename", "unlink", "mkdir")
TERMINAL = "write"
"""The call that also writes to the terminal: a lasting fault in it would hide the messages."""


class Fault(NamedTuple):
    """What happens at each of `calls`, as strace's `inject` has it; `stays`: at all later ones too.

    A run that is told to stop ends with the exit code `stopped`.
    """

    calls: Sequence[str]
    inject: str
    stays: bool = False
    stopped: int | None = None


FAULTS = {
    "SIGKILL": Fault((*CHANGES, *SYNCS), "signal=KILL"),
    "ENOSPC": Fault(WRITES, "error=ENOSPC", stays=True),
    "EIO": Fault(CHANGES, "error=EIO"),
    "fsync": Fault(SYNCS, "error=EIO"),
    "SIGINT": Fault((*CHANGES, *SYNCS), "signal=INT", stopped=130),
    "SIGTERM": Fault((*CHANGES, *SYNCS), "signal=TERM", stopped=143),
}


class Point(NamedTuple):
    """The `number`th `call` of a run; `path` is what it changes, less what differs between runs."""

    call: str
    number: int
    path: str

    def __str__(self) -> str:
        return f"{self.call} {self.number} ({self.path})"


class Traced(NamedTuple):
    """A scenario, and all changes that it makes without a fault."""

    scenario: Scenario
    points: Sequence[Point]

    def of(self, fault: str) -> list[Point]:
        """The points where that fault can come; never empty."""
        found = [point for point in self.points if point.call in FAULTS[fault].calls]
        assert found
        return found


def _points(lines: Sequence[str], folder: Path) -> Iterator[Point]:
    """The changes in a trace; those to terminals and pipes are counted, but left out."""
    numbers: Counter[str] = Counter()
    for line in lines:
        found = re.match(r'\d+ +(\w+)\((?:\d+<([^>]*)>|"([^"]*)")', line)
        if found:
            call, path = found[1], found[2] or found[3]
            numbers[call] += 1
            path = path.replace(f"{folder}/", "").replace(str(folder), "the folder")
            path = re.sub(r"\d{8}T\d{6}\.\d{6}Z", "STEM", path)
            path = re.sub(r"([-.])\d+\.tmp", r"\1PID.tmp", path)
            if "etilqs_" in path:
                path = "a temporary file of SQLite"
            if not re.match(r"pipe:|/dev/", path):
                yield Point(call, numbers[call], path)


def meet(scenario: Scenario, folder: Path, fault: Fault, point: Point) -> str:
    """Run it with the fault at that point, and check its promises; returns how it ended."""
    is_signal = fault.inject.startswith("signal=")
    stays = "+" if fault.stays and point.call != TERMINAL else ""
    inject = f"inject={point.call}:{fault.inject}:when={point.number}{stays}"
    options = ["-e", f"trace={point.call}", "-e", inject, *([] if is_signal else [FAST])]
    outcome, lines = scenario.traced(folder, *options)
    assert [one for one in _points(lines, folder) if one.number == point.number] == [point]
    if fault.stopped:
        assert outcome.signalled
        assert outcome.code in (fault.stopped, scenario.ends_with), outcome.error
        assert len(scenario.said(folder)) == 1, "no report"
    if is_signal and not fault.stopped:
        assert outcome.killed
    else:
        scenario.check_words(folder, outcome, fault.stopped)
        if point.call != "unlink":  # it could not be removed
            assert not scenario.left_behind(folder)
    state = scenario.hold(folder, outcome)
    return f"{'killed' if outcome.killed else f'exit code {outcome.code}'}, {state}"


PARTS_OF_ALL = [
    pytest.param(name, fault, part, id=f"{name}, {fault}, part {part + 1} of {PARTS}")
    for name in SCENARIOS
    for fault in FAULTS
    for part in range(PARTS)
]
SAMPLES = [
    pytest.param(name, fault, id=f"{name}, {fault}") for name in SCENARIOS for fault in FAULTS
]

Ready = Callable[[str], Traced]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    """The scenario of that name, set up once."""
    need_strace()
    made: dict[str, Traced] = {}

    def get(name: str) -> Traced:
        if name not in made:
            folder = tmp_path_factory.mktemp("scenario")
            scenario = SCENARIOS[name](folder / "start")
            trial = folder / "without a fault"
            _, lines = scenario.set_up(trial, "-e", f"trace={','.join((*CHANGES, *SYNCS))}")
            made[name] = Traced(scenario, [*_points(lines, trial)])
            shutil.rmtree(trial)
        return made[name]

    return get


def meet_all(scenario: Scenario, fault: str, points: Sequence[Point], folder: Path) -> Counter[str]:
    """Make the fault at each point; returns how often it ended how. Failed runs are kept."""

    def hold(point: Point) -> str:
        place = folder / f"{point.call} {point.number}"
        ended = meet(scenario, place, FAULTS[fault], point)
        shutil.rmtree(place)
        return ended

    return hold_all(points, hold)


@pytest.mark.parametrize(("name", "fault"), SAMPLES)
def test_fault_at_some_points(name: str, fault: str, ready: Ready, tmp_path: Path) -> None:
    traced = ready(name)
    points = traced.of(fault)
    some = [points[len(points) * (2 * at + 1) // (2 * SAMPLE)] for at in range(SAMPLE)]
    meet_all(traced.scenario, fault, some, tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize(("name", "fault", "part"), PARTS_OF_ALL)
def test_fault_at_every_point(
    name: str,
    fault: str,
    part: int,
    ready: Ready,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    traced = ready(name)
    points = traced.of(fault)[part::PARTS]
    outcomes = meet_all(traced.scenario, fault, points, tmp_path)
    stopped = FAULTS[fault].stopped
    assert not stopped or any(f"exit code {stopped}" in how for how in outcomes), "it is not heard"
    record_property("faults", (f"{name}, {fault}", dict(outcomes)))
