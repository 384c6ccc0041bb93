"""What consensus costs: reads and writes a second of 1 to 32 clients on three rqlite nodes of this
machine, beside one local file; and how long nobody can write when the leader is killed.

Each client is a process with a `Database`. Needs rqlited, whose path RQLITED names.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from abathur_schema import Database
from tests.support.rqlite import Cluster

CLIENTS = (1, 8, 32)
WORKS = ("reads", "writes", "batches of 100")

ROW = (
    "INSERT INTO metrics (timestamp, metric_name, metric_value)"
    " VALUES ('2026-01-01T00:00:00Z', 'm', ?)"
)
READ = "SELECT metric_value FROM metrics WHERE id = ?"


async def client(place: str, work: str, seconds: float) -> list[float]:
    """Do one kind of work for so long; the seconds that each piece took."""
    times = []
    db = Database(place)
    async with db.connection() as conn:
        await conn.execute_fetchall(READ, (1,))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            if work == "reads":
                await conn.execute_fetchall(READ, (1,))
            else:
                rows = [(number,) for number in range(1 if work == "writes" else 100)]
                await conn.executemany(ROW, rows)
                await conn.commit()
            times.append(time.perf_counter() - started)
    await db.close()
    return times


def at_once(place: str, work: str, clients: int, seconds: float) -> list[float]:
    """Run so many clients at once; the seconds that each piece of work took."""
    module = ["-m", "benchmarks.cluster", "--client", place, work, "--seconds", str(seconds)]
    processes = [
        subprocess.Popen(
            [sys.executable, *module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(clients)
    ]
    for one in processes:
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
    for one in processes:
        assert one.stdin
        one.stdin.write("\n")
        one.stdin.flush()
    return [float(line) for one in processes for line in one.communicate()[0].splitlines()]


def table(label: str, place: str, clients: Sequence[int], seconds: float) -> None:
    """Print a line for each kind of work."""
    for work in WORKS:
        cells = []
        for number in clients:
            times = sorted(at_once(place, work, number, seconds))
            rows = len(times) * (100 if work.startswith("batches") else 1)
            last = 1000 * times[len(times) * 99 // 100]
            cells.append(f"{rows / seconds:>9,.0f} ({last:>6.1f} ms)")
        print(f"{label:<12} {work:<15}", *cells, flush=True)


async def gap(cluster: Cluster, runs: int) -> list[float]:
    """The seconds between the kill of a leader and the next acknowledged write, by 8 writers."""
    found = []
    loop = asyncio.get_running_loop()
    async with Database(cluster.address) as db:
        for _ in range(runs):
            leader = await asyncio.to_thread(cluster.leader)
            acknowledged: list[float] = []
            is_over = asyncio.Event()

            async def write(until: asyncio.Event, done: list[float]) -> None:
                while not until.is_set():
                    await db.remember("temp:gap", "k", 1)
                    done.append(loop.time())

            writers = [asyncio.create_task(write(is_over, acknowledged)) for _ in range(8)]
            await asyncio.sleep(1)
            await asyncio.to_thread(cluster.kill, leader)
            killed = loop.time()
            while not any(at > killed for at in acknowledged):
                await asyncio.sleep(0.01)
            found.append(min(at for at in acknowledged if at > killed) - killed)
            is_over.set()
            await asyncio.gather(*writers)
            await asyncio.to_thread(cluster.restart, leader)
            await asyncio.to_thread(cluster.caught_up)
    return found


async def make(place: str) -> None:
    """Bring the schema up, with one row to read."""
    async with Database(place) as db, db.transaction() as conn:
        await conn.execute(ROW, (0,))


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.client:
        for seconds in asyncio.run(client(asked.client[0], asked.client[1], asked.seconds)):
            print(seconds)
        return 0
    print("rows a second (and how long 99 of 100 pieces of work took at most), by clients\n")
    print(" " * 28, *(f"{number:>21}" for number in asked.clients))
    with tempfile.TemporaryDirectory() as name:
        file = str(Path(name) / "a.db")
        asyncio.run(make(file))
        table("one file", file, asked.clients, asked.seconds)
        with Cluster(Path(name)) as cluster:
            asyncio.run(make(cluster.address))
            table("three nodes", cluster.address, asked.clients, asked.seconds)
            gaps = asyncio.run(gap(cluster, asked.kills))
    print(
        f"\nthe leader is killed: {statistics.median(gaps):.1f} s (at most {max(gaps):.1f}) until"
        " the next acknowledged write"
    )
    return 0


if __name__ == "__main__":
    with closing(sys.stdout):
        sys.exit(main())
