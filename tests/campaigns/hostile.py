"""Test that `init`, `plan` and `verify` survive damaged and malicious files, and do no harm.

    .venv/bin/python -m tests.campaigns.hostile --cases 5000
    .venv/bin/python -m tests.campaigns.hostile --corpus fuzzdata3.db fuzzdata7.db

Each task runs in a monitored process. A failure is a crash, a hang, a stack trace, an exit code
that is not ours, a byte changed by `verify` or `plan`, or any other file touched.
"""

import argparse
import contextlib
import hashlib
import io
import multiprocessing
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from multiprocessing.connection import Connection
from pathlib import Path

from abathur_schema.commands.tasks import run_plan, run_task
from tests.campaigns import corpus, kinds_of_damage
from tests.campaigns.hostile_files import MADE

BOUND = 300.0
"""Seconds that a task may take on files of this size (about 200 KB)."""

EXITS = {"init": {0, 1, 3}, "verify": {0, 1, 2}, "plan": {0, 1, 2}}
TASKS = ("verify", "plan", "init", "verify")


@cache
def sound() -> list[kinds_of_damage.Image]:
    with tempfile.TemporaryDirectory() as name:
        return kinds_of_damage.images(Path(name))


def make(number: int, path: Path) -> str:
    """Create the file with this number at `path`, and return its kind.

    One in four is malicious: each kind first unmodified, then again with a few bytes changed. The
    others are damaged.
    """
    chance = random.Random(number)
    if number % 4:
        turn, kind_number = divmod(number - number // 4 - 1, len(kinds_of_damage.KINDS))
        kind = list(kinds_of_damage.KINDS)[kind_number]
        images = sound()
        kinds_of_damage.damaged(images[turn % len(images)], kind, number + 1_000_000, path)
        return kind.replace("_", " ")
    kind = list(MADE)[number // 4 % len(MADE)]
    MADE[kind](path)
    if number // 4 >= len(MADE):
        content = bytearray(path.read_bytes())
        for _ in range(chance.randrange(1, 8)):
            content[chance.randrange(16, len(content))] = chance.randrange(256)
        path.write_bytes(content)
    return kind


def files(cases: int, collections: Sequence[Path] | None) -> Iterator[Callable[[Path], str]]:
    """Yield functions that each write one file to a path and return its kind: `cases` files made
    here, or all files in the collections.
    """
    if not collections:
        yield from (partial(make, number) for number in range(cases))
        return
    for name, content in corpus.files(collections):

        def put(path: Path, name: str = name, content: bytes = content) -> str:
            path.write_bytes(content)
            return name

        yield put


def work(orders: Connection) -> None:
    """Run each task ordered on its path, and send back the exit code and the output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while order := orders.recv():
        task, path = order
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            paths = str(path), str(path.parent / "reports")
            code = run_plan(*paths, False) if task == "plan" else run_task(task, *paths, False)
        orders.send((code, output.getvalue()))


class Worker:
    """A process that runs tasks, replaced when it crashes or hangs."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._orders, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=work, args=(theirs,), daemon=True
        )
        self._process.start()
        theirs.close()

    def run(self, task: str, path: Path) -> tuple[int | None, str, float]:
        """Run a task; return the exit code (None: it crashed or hung), the output, the seconds."""
        self._orders.send((task, path))
        begin = time.monotonic()
        try:
            if self._orders.poll(BOUND):
                code, output = self._orders.recv()
                return code, output, time.monotonic() - begin
        except EOFError:
            pass
        self.stop()
        end = self._process.exitcode
        self._start()
        return None, f"ended with {end}", time.monotonic() - begin

    def stop(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()
        self._orders.close()


def digest(path: Path) -> list[str]:
    """Return hashes of a database, and of its `-wal` and `-journal` unless empty."""
    files = (path.with_name(path.name + suffix) for suffix in ("", "-wal", "-journal"))
    contents = (file.read_bytes() for file in files if file.exists())
    return [hashlib.sha256(content).hexdigest() for content in contents if content]


def faults(worker: Worker, path: Path, slowest: list[float]) -> Iterator[str]:
    """Yield what goes wrong when the tasks run on the file at `path`; add seconds to `slowest`."""
    for task in TASKS:
        before = digest(path)
        code, output, seconds = worker.run(task, path)
        slowest.append(seconds)
        is_refused = code == 2 and "belongs to another application" in output
        if code not in EXITS[task] and not is_refused:
            yield f"{task} exits with {code}: {output[:500]}"
        if "Traceback" in output or "\x1b" in output:
            yield f"{task} prints {output[:500]!r}"
        if task != "init" and digest(path) != before:
            yield f"{task} changed it"
    names = {entry.name for entry in path.parent.iterdir()}
    allowed = {path.name + suffix for suffix in ("", "-wal", "-shm", "-journal")}
    if names - allowed - {"reports"} != {"victim"}:
        yield f"other files: {sorted(names)}"
    elif (path.parent / "victim").read_text() != "precious\0":
        yield "another file was changed"


def main() -> int:
    """Run all cases and print the table; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="how many files (default: 5000)")
    corpus.add_option(parser)
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    worker = Worker()
    try:
        for number, put in enumerate(files(arguments.cases, arguments.corpus)):
            with tempfile.TemporaryDirectory() as name:
                path = Path(name) / "place" / "hostile.db"
                path.parent.mkdir()
                (path.parent / "victim").write_text("precious\0")
                kind = put(path)
                counts[kind] += 1
                seconds: list[float] = []
                for fault in faults(worker, path, seconds):
                    wrong[kind] += 1
                    print(f"{kind}, number {number}: {fault}", file=sys.stderr, flush=True)
                slowest[kind] = max(slowest.get(kind, 0.0), *seconds)
    finally:
        worker.stop()
    print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}\n")
    print("| file | cases | went wrong | slowest task, s |\n| --- | ---: | ---: | ---: |")
    for kind, count in counts.items():
        print(f"| {kind} | {count} | {wrong[kind]} | {slowest[kind]:.1f} |")
    slow = max(slowest.values())
    print(f"| all | {sum(counts.values())} | {sum(wrong.values())} | {slow:.1f} |")
    return 1 if wrong else 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
