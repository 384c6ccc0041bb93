"""A power loss after every single call that changes the disk: nothing is lost, and the next run
ends well. The normal run takes a sample of the points; `pytest -m faults` takes every one.

The command really runs, once, under strace. What a disk could hold at each point is then made from
its calls (`disk.py` says what is assumed), held against the promises, and run again. The folders
for the database and the reports are new ones, where making them is part of the run.
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
"""Tests among which the points are dealt out, to run side by side."""

WHOLE = [Loss(writes, names) for writes in (0, 1) for names in (0, 1)]
SAMPLE = 2
"""States of each scenario in the normal run, besides those at its end."""

SOME, BEFORE_SYNC = 2, 24
"""How many losses at random are tried at each point, and where a sync comes next: then there is
most to lose."""

END = ("anything else", True)
"""What comes after the last call."""

LOST = Outcome(-9, "", "")
"""How a run ends that a power loss ends."""


class Crash(NamedTuple):
    """A state that the disk may have; `after` so many calls, of which the next one is `point`."""

    after: int
    point: str
    loss: Loss
    state: State

    def __str__(self) -> str:
        return f"after {self.after} calls, before {self.point}: {self.loss}"


class Recorded(NamedTuple):
    """A scenario, how its run ended, where that was, and its calls."""

    scenario: Scenario
    outcome: Outcome
    folder: Path
    lines: Sequence[str]

    def disk(self) -> Disk:
        """The disk before the run."""
        return Disk(self.folder, self.scenario.start)

    def changes(self) -> int:
        """How many calls change the disk."""
        return sum(1 for _ in self.disk().follow(self.lines))

    def crashes(self, points: Container[int]) -> Iterator[Crash]:
        """What the disk may hold at these points, the last one of which is the end; the same state
        comes once.
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
    """Hold what is left against the promises, and run the command again; the state it was in."""
    put(crash.state, folder)
    if any(one["execution_status"]["status"] == "SUCCESS" for one in scenario.said(folder)):
        assert scenario.look(folder) == scenario.after, "a report says what is not so"
    state = scenario.hold(folder, outcome)
    shutil.rmtree(folder)
    return state


def hold_each(
    scenario: Scenario, crashes: Iterable[Crash], outcome: Outcome, folder: Path
) -> Counter[str]:
    """Hold each of the states against the promises; how often which was found."""
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
    """Once the command has ended, what it did and its report are there for certain."""
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
