"""A power loss after every single call that changes the disk: nothing is lost, and the next run
ends well. The normal run tries a sample of the points, `pytest -m faults` all of them.

The command really runs, once, under strace. What a disk could hold at each point is then rebuilt
from its calls (`disk.py` says what is assumed), the promises are checked on it, and the command
runs again. Where a run can create the folders for the database and the reports, it does.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.disk import TRACE, Disk, Loss, State, put
from tests.support.machine import need_strace
from tests.support.promises import Outcome, Scenario, hold_all
from tests.support.scenarios import SCENARIOS

PARTS = 8
"""The points are split among so many tests, which can run in parallel."""

WHOLE = [Loss(writes, names) for writes in (0, 1) for names in (0, 1)]
SAMPLE = 2
"""States of each scenario in the normal run, besides those after the last call."""

SOME, BEFORE_SYNC = 2, 24
"""Random losses tried at each point, and at points before a sync, where there is most to lose."""

END = ("anything else", True)
"""The point after the last call."""

LOST = Outcome(-9, "", "")
"""The outcome of a run that a power loss ends."""


class Crash(NamedTuple):
    """A state that the disk may be in `after` so many calls; the next one would be `point`."""

    after: int
    point: str
    loss: Loss
    state: State

    def __str__(self) -> str:
        return f"after {self.after} calls, before {self.point}: {self.loss}"


class Recorded(NamedTuple):
    """A scenario, how its run ended, in which folder, and its calls."""

    scenario: Scenario
    outcome: Outcome
    folder: Path
    lines: Sequence[str]

    def disk(self) -> Disk:
        """The disk before the run."""
        return Disk(self.folder, self.scenario.start)

    def changes(self) -> int:
        """The number of calls that change the disk."""
        return sum(1 for _ in self.disk().follow(self.lines))

    def crashes(self, points: Container[int]) -> Iterator[Crash]:
        """What the disk may hold at these points, the end of the run being the last; equal states
        come once.
        """
        disk, seen = self.disk(), set()
        for number, (point, is_sync) in enumerate(chain(disk.follow(self.lines), [END])):
            if number in points:
                tries = BEFORE_SYNC if is_sync else SOME
                chances = (Loss(None, None, number * 1000 + one) for one in range(tries))
                for loss in (*WHOLE, *chances):
                    state = disk.left(loss)
                    if (key := frozenset(state.items())) not in seen:
                        seen.add(key)
                        yield Crash(number, point, loss, state)


def hold(scenario: Scenario, crash: Crash, outcome: Outcome, folder: Path) -> str:
    """Check the promises on what is left, and run the command again; returns the state found."""
    put(crash.state, folder)
    if any(one["execution_status"]["status"] == "SUCCESS" for one in scenario.said(folder)):
        assert scenario.look(folder) == scenario.after, "a report says what is not so"
    state = scenario.hold(folder, outcome)
    shutil.rmtree(folder)
    return state


def hold_each(
    scenario: Scenario, crashes: Iterable[Crash], outcome: Outcome, folder: Path
) -> Counter[str]:
    """Check the promises on each state; returns how often which was found."""
    return hold_all(
        crashes,
        lambda crash: hold(scenario, crash, outcome, folder / f"{crash.after} {crash.loss}"),
    )


Recording = Callable[[str], Recorded]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The scenario of that name, run once."""
    need_strace()
    made: dict[str, Recorded] = {}

    def get(name: str) -> Recorded:
        if name not in made:
            folder = tmp_path_factory.mktemp("scenario")
            database = "new/abathur.db" if name == "fresh" else "abathur.db"
            scenario = SCENARIOS[name](folder / "start", database, "a new/folder/reports")
            outcome, lines = scenario.set_up(folder / "run", *TRACE)
            made[name] = Recorded(scenario, outcome, folder / "run", lines)
        return made[name]

    return get


@pytest.mark.parametrize("name", SCENARIOS)
def test_power_loss_at_some_points(name: str, recording: Recording, tmp_path: Path) -> None:
    """Once the command has ended, what it did and its report are durable."""
    recorded, count = recording(name), recording(name).changes()
    some = islice(recorded.crashes([count * 2 // 3]), SAMPLE)
    hold_each(recorded.scenario, some, LOST, tmp_path)
    end = recorded.crashes([count])
    outcomes = hold_each(recorded.scenario, end, recorded.outcome, tmp_path)
    assert {*outcomes} == {recorded.scenario.done}


PARTS_OF_ALL = [
    pytest.param(name, part, id=f"{name}, power loss, part {part + 1} of {PARTS}")
    for name in SCENARIOS
    for part in range(PARTS)
]


@pytest.mark.faults
@pytest.mark.parametrize(("name", "part"), PARTS_OF_ALL)
def test_power_loss_at_every_point(
    name: str,
    part: int,
    recording: Recording,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    recorded = recording(name)
    count = recorded.changes()
    points = range(count * part // PARTS, count * (part + 1) // PARTS)
    outcomes = hold_each(recorded.scenario, recorded.crashes(points), LOST, tmp_path)
    record_property("faults", (f"{name}, power loss", dict(outcomes)))
