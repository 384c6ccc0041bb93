"""Read one state of a database on several connections in parallel.

Python runs other threads while SQLite works, so two connections use two processors. Each holds a
read transaction: no writer is blocked, and in WAL mode what is committed meanwhile stays in the
`-wal` file until the last of them ends.
"""

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Generic, TypeVar

from ..declared.declaration import Settings
from ..interruption import stop_asked, stop_if_asked, watched
from ..place import Address, Place
from ..progress import Progress
from .connection import connect, longest_time, size_of

T = TypeVar("T")

LARGE = 32 * 1024 * 1024
"""The database size in bytes from which more connections pay off; opening them costs time."""

MOST = 8
"""The most connections: more would only wait for the disk and for each other."""

CACHE = 32 * 1024
"""The page cache of each connection to a large database, in KiB."""

MAPPED = 1 << 40
"""Bytes of the file that SQLite may map; it is limited by its build, usually to 2 GB."""

SECONDS_TO_MEET = 5.0


class Job(Generic[T]):
    """One query of the database. `work` raises nothing; the heaviest jobs run first."""

    def __init__(self, label: str, weight: float, work: Callable[[sqlite3.Connection], T]) -> None:
        self.label = label
        self.weight = weight
        self.work = work


@contextmanager
def snapshot(database: Place, settings: Settings) -> Iterator[list[sqlite3.Connection]]:
    """Open connections, at least one, that see the same state until the end; for a large database
    as many as there are processors. Raises sqlite3.Error, as `connect` does.
    """
    connections = [connect(database, "ro", settings)]
    try:
        if isinstance(database, Address):  # no state lasts longer there than one query
            yield connections
            return
        size = size_of(database)
        if size >= LARGE:
            with suppress(sqlite3.OperationalError, OSError):  # one connection is enough
                while len(connections) < min(_processors(), MOST):
                    connections.append(connect(database, "ro", settings))
            for connection in connections:
                connection.execute(f"PRAGMA cache_size = -{CACHE}")
        with watched(connections, longest_time(size)):
            meet(connections)
            yield connections
    finally:
        for connection in connections:
            connection.close()


def meet(connections: list[sqlite3.Connection]) -> None:
    """Begin a transaction on the same state on all connections; those that cannot are closed.

    `data_version` of a connection outside a transaction changes whenever another one has committed
    (SQLite documentation, "PRAGMA data_version"). So if it is the same on the last connection
    before the others begin and after it has begun, no commit came in between.
    """
    *others, last = connections
    for connection in connections:
        _look(connection)  # reads the schema, so that what follows is quick
    give_up = time.monotonic() + SECONDS_TO_MEET
    while True:
        before = _version(last)
        for connection in connections:
            connection.execute("BEGIN")
            _look(connection)
        if not others or _version(last) == before:
            return
        for connection in connections:
            connection.execute("ROLLBACK")
        stop_if_asked()
        if time.monotonic() > give_up:  # somebody commits continuously
            while len(connections) > 1:
                connections.pop().close()
            others, last = [], connections[0]


def _look(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def map_file(connections: Sequence[sqlite3.Connection]) -> None:
    """Memory-map the file from now on, if it is large: looking up rows in all indexes is then twice
    as fast.

    Only for a file whose pages have all been read and found sound. A failing disk kills a program
    that reads this way (SQLite documentation, "Memory-Mapped I/O"), and hostile pages do least harm
    as copies ("Defense Against The Dark Arts"). Validating the cells of a page at each use, of
    which there are now more, would take a third of the time.
    """
    if len(connections) > 1:
        for connection in connections:
            connection.execute(f"PRAGMA mmap_size = {MAPPED}")
            connection.execute("PRAGMA cell_size_check = OFF")


def side_by_side(
    connections: Sequence[sqlite3.Connection], jobs: Sequence[Job[T]], progress: Progress
) -> list[T]:
    """Run the jobs, one thread for each connection (the first uses this one); results in order.

    Raises Interrupted on request to stop, after all threads have ended.
    """
    todo = deque(sorted(range(len(jobs)), key=lambda number: -jobs[number].weight))
    done: dict[int, T] = {}
    running: dict[int, str] = {}

    def work(connection: sqlite3.Connection) -> None:
        while not stop_asked():
            try:
                number = todo.popleft()
            except IndexError:
                return
            running[number] = jobs[number].label
            progress.at(f"{len(done)} of {len(jobs)}, now {', '.join([*running.values()])}")
            done[number] = jobs[number].work(connection)
            del running[number]

    threads = [Thread(target=work, args=(connection,)) for connection in connections[1:]]
    try:
        for thread in threads:
            thread.start()
        work(connections[0])
    finally:
        for thread in threads:
            if thread.ident:
                thread.join()
    stop_if_asked()
    return [done[number] for number in range(len(jobs))]


def _processors() -> int:
    """The number of processors available to this process."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
