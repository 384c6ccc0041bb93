"""System clocks that stand still, jump or are centuries off, compiled from `clock.c`."""

import subprocess
from pathlib import Path

import pytest

from tests.support.machine import need

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
TODAY = 20_783 * DAY
LATEST = 95_694 * DAY
"""1 January 2232: Linux does not let a clock be set much later (2262, less 30 years of uptime)."""

CLOCKS = {
    "stands still": (TODAY, 0),
    "1970": (0, 1000),
    "2232": (LATEST, 1000),
    "an hour back at each reading": (TODAY, -3600 * SECOND),
    "a year ahead at each reading": (TODAY, 365 * DAY),
}
"""The first reading, and the step from each reading to the next; both in microseconds."""


def variables(name: str, folder: Path) -> dict[str, str]:
    """Return variables that give a process this clock; build the library in `folder` once."""
    need("gcc")
    library = folder / "clock.so"
    if not library.exists():
        command = ["gcc", "-shared", "-fPIC", "-o", str(library)]
        made = subprocess.run([*command, Path(__file__).with_suffix(".c")], check=False)
        if made.returncode:
            pytest.skip("gcc makes no library here")
    starts, step = CLOCKS[name]
    return {"LD_PRELOAD": str(library), "CLOCK_STARTS": str(starts), "CLOCK_STEP": str(step)}
