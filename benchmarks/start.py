"""How long a command takes from start to end, compared with its floor and with Alembic."""

import argparse
import operator
import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from abathur_schema.declared.declaration import bundled, declared
from abathur_schema.schema.text import fold
from benchmarks import alembic_project

ROOT = Path(__file__).resolve().parent.parent
RUNS_FOR_A_VERDICT = 10

FLOOR = "import invoke, sqlite_utils"
ALONE = "import sys; sys.modules.update(numpy=None, pandas=None); "
"""What the floor begins with: sqlite-utils imports these two where they are installed, as they are
for development, and as no user of `init` needs them.
"""

FRESH = "invoke init, fresh file"
AGAIN = "invoke init, again"
VERIFY = "invoke verify"
ALEMBIC = "alembic upgrade head"
SHELL = "sqlite3 < sql/*.sql"

SCRIPT_ORDER = ("pragma", "memory", "core", "core-indexes", "memory-indexes")
COMPARED = {"<": operator.lt, "<=": operator.le, ">=": operator.ge}


class Target(NamedTuple):
    """The median of `command` must be `sign` `factor` times the median of `other`."""

    command: str
    sign: str
    factor: float
    other: str


TARGETS = (
    Target(FRESH, "<=", 1.5, FLOOR),
    Target(VERIFY, "<=", 1.6, FLOOR),
    Target(FRESH, "<", 0.5, ALEMBIC),
)
OF_INSTRUCTIONS = (Target(FRESH, "<=", 1.5, FLOOR),)

COUNTED = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")

ALEMBIC_VERSION = """\
from alembic import op

revision = "schema"
down_revision = None
STATEMENTS = {statements!r}


def upgrade():
    connection = op.get_bind()
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement)
"""


class Command(NamedTuple):
    """One row of the table; `makes` is the database that must not exist before a run.

    After the first run that database must hold what `sql/` declares, and the tables `besides`.
    """

    label: str
    arguments: Sequence[str]
    makes: Path | None = None
    besides: frozenset[str] = frozenset()
    stdin: str = ""


def commands(folder: Path) -> list[Command]:
    """The commands to measure, in order; creates a finished database and Alembic's project."""
    invoke = [script("invoke"), "--search-root", str(ROOT)]
    fresh, finished, migrated, plain = (
        folder / f"{name}.db" for name in ("fresh", "finished", "migrated", "plain")
    )

    def options(database: Path) -> list[str]:
        return ["--database", str(database), "--reports", str(folder / "reports")]

    again = Command(AGAIN, [*invoke, "init", *options(finished)])
    run(again, folder)
    rows = [
        Command(FLOOR, [sys.executable, "-c", ALONE + FLOOR]),
        Command(FRESH, [*invoke, "init", *options(fresh)], fresh),
        again,
        Command(VERIFY, [*invoke, "verify", *options(finished)]),
        Command(
            ALEMBIC,
            [script("alembic"), "-c", str(project_of(folder, migrated)), "upgrade", "head"],
            migrated,
            frozenset({"alembic_version"}),
        ),
    ]
    if shell := shutil.which("sqlite3"):
        texts = ((bundled("sql") / f"{step}.sql").read_text("utf-8") for step in SCRIPT_ORDER)
        rows.append(
            Command(SHELL, [shell, "-batch", "-bail", str(plain)], plain, stdin="\n".join(texts))
        )
    return rows


def script(name: str) -> str:
    """The console script beside this Python. Raises FileNotFoundError if there is none."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise FileNotFoundError(f"no {name} beside {sys.executable}: pip install -e '.[dev]'")
    return found


def project_of(folder: Path, database: Path) -> Path:
    """Write an Alembic project whose one migration runs the statements of `sql/`; its ini file.

    The statements are inside the migration, as in a real project: its time includes no work of
    ours.
    """
    version = ALEMBIC_VERSION.format(statements=tuple(declared().creates.values()))
    return alembic_project.write(folder / "alembic", database, version)


def run(command: Command, folder: Path) -> float:
    """Run the whole process once in `folder`, and return the milliseconds of wall time.

    Raises CalledProcessError, with what it printed, unless it exits with 0.
    """
    clear(command)
    begin = time.perf_counter()
    subprocess.run(
        command.arguments,
        input=command.stdin,
        capture_output=True,
        check=True,
        cwd=folder,
        encoding="utf-8",
    )
    return (time.perf_counter() - begin) * 1000


def clear(command: Command) -> None:
    """Remove the database that must not exist before a run."""
    if command.makes:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{command.makes}{suffix}").unlink(missing_ok=True)


def millions_of_instructions(command: Command, folder: Path) -> float:
    """The instructions that the whole process runs in user mode, counted by valgrind.

    A busy machine does not change them, and from run to run they hardly differ, because hashing is
    not random and all modules are in Python's cache. Raises CalledProcessError unless it exits
    with 0.
    """
    alike = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for counted in ((), COUNTED):  # the first run fills the cache
        clear(command)
        result = subprocess.run(
            [*counted, *command.arguments],
            input=command.stdin,
            capture_output=True,
            check=True,
            cwd=folder,
            encoding="utf-8",
            env={**alike, "PYTHONHASHSEED": "0"},
        )
    found = re.search(r"Collected : (\d+)", result.stderr)
    if not found:
        raise ValueError(f"{command.label}: valgrind counted nothing:\n{result.stderr}")
    return int(found[1]) / 1e6


def check_result(command: Command) -> None:
    """Raise ValueError unless the database has the declared tables and indexes, and no others."""
    if command.makes is None:
        return
    with closing(sqlite3.connect(command.makes)) as connection:
        rows = connection.execute(
            "SELECT name FROM sqlite_schema"
            " WHERE type IN ('table', 'index') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        ).fetchall()
    wrong = {fold(name) for (name,) in rows} ^ (declared().creates.keys() | command.besides)
    if wrong:
        raise ValueError(f"{command.label}: missing, or too much: {', '.join(sorted(wrong))}")


def measure(runs: int, count: bool) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The milliseconds of each run by label; with `count`, also the millions of instructions.

    A first run of each command warms up, and its result is checked. The commands take turns, so
    that a slow moment of the machine hits them all alike.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = commands(folder)
        for command in rows:
            run(command, folder)
            check_result(command)
        times: dict[str, list[float]] = {command.label: [] for command in rows}
        for _ in range(runs):
            for command in rows:
                times[command.label].append(run(command, folder))
        counts = {row.label: [millions_of_instructions(row, folder)] for row in rows if count}
        return times, counts


def table(times: Mapping[str, Sequence[float]], counts: Mapping[str, Sequence[float]]) -> list[str]:
    """The lines of the table, header first; with instructions where they were counted."""
    floor = statistics.median(times[FLOOR])
    lines = [f"{'command':<28}{'median ms':>10}{'min':>8}{'max':>8}{'x floor':>9}"]
    if counts:
        lines[0] += f"{'million instr.':>16}{'x floor':>9}"
    for label, row in times.items():
        median = statistics.median(row)
        line = f"{label:<28}{median:>10.1f}{min(row):>8.1f}{max(row):>8.1f}{median / floor:>9.2f}"
        if counts:
            line += f"{counts[label][0]:>16.1f}{counts[label][0] / counts[FLOOR][0]:>9.2f}"
        lines.append(line)
    return lines


def judge(target: Target, times: Mapping[str, Sequence[float]]) -> tuple[bool, str]:
    """Whether `target` holds, and the line that says so."""
    ratio = statistics.median(times[target.command]) / statistics.median(times[target.other])
    holds = COMPARED[target.sign](ratio, target.factor)
    aim = f"{target.command} {target.sign} {target.factor} x {target.other}"
    return holds, f"{aim}: {ratio:.2f}, {'holds' if holds else 'does NOT hold'}"


def positive(text: str) -> int:
    """A number of runs, from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def main() -> int:
    """Measure and print; 0 if every target holds, 1 if not (or too few runs to say), 2 on error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs",
        type=positive,
        default=15,
        metavar="N",
        help=f"runs of each command (default: 15; at least {RUNS_FOR_A_VERDICT} for a verdict)",
    )
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="count the instructions of each command, too, by valgrind: half a minute more",
    )
    options = parser.parse_args()
    runs = options.runs
    try:
        times, counts = measure(runs, options.instructions)
    except subprocess.CalledProcessError as error:
        print(f"{error}\n{error.stderr or error.stdout}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" {os.cpu_count()} cores, {runs} runs of each command\n"
    )
    print(*table(times, counts), sep="\n", end="\n\n")
    verdicts = [judge(target, counts) for target in OF_INSTRUCTIONS if counts]
    for _, line in verdicts:
        print(f"in instructions: {line}")
    if runs < RUNS_FOR_A_VERDICT:
        print(f"No verdict: it needs at least {RUNS_FOR_A_VERDICT} runs.")
        return 1
    in_time = [judge(target, times) for target in TARGETS]
    print(*(line for _, line in in_time), sep="\n")
    verdicts += in_time
    return 0 if all(holds for holds, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
