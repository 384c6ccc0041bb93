"""A cluster whose leader is killed: what was acknowledged is there once, and reports are true."""

import random
import subprocess
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from abathur_schema.errors import NoLeaderError, UnknownOutcomeError
from abathur_schema.storage.cluster import open_cluster
from tests.support.bundle import OBJECTS, Bundle, reports
from tests.support.commands import Invoke, environment, invoke_command
from tests.support.rqlite import Cluster

STEPS = ("core", "core-indexes", "memory", "memory-indexes")
TRIES = 6
WRITERS = 50
SECONDS = 6.0


def test_the_leader_is_killed_during_init(
    own_cluster: Cluster, empty: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    """Each step is whole or not at all, and what the report calls done is done."""
    whole: list[set[tuple[object, ...]]] = [set()]
    assert empty.run("pragma") == 0
    for step in STEPS:
        assert empty.run(step) == 0
        whole.append({*empty.rows(OBJECTS)})
    ended = []
    chance = random.Random(1)
    for number in range(TRIES):
        own_cluster.empty()
        folder = tmp_path / f"reports-{number}"
        command = invoke_command("init", "-d", own_cluster.address, "--reports", str(folder))
        leader = own_cluster.leader()
        init = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # It takes 0.2 s until the first request, and 0.2 s from then on.
        time.sleep(0.2 + chance.random() * 0.25)
        own_cluster.kill(leader)
        said, _ = init.communicate(timeout=60)
        own_cluster.restart(leader)
        there = {*own_cluster.same_rows(OBJECTS)}
        assert there in whole, number
        ended.append((init.returncode, whole.index(there)))
        for report in reports(folder):
            done = [one["name"] for one in report["steps"] if one["status"] == "completed"]
            made = report["deliverables"]
            for kind in ("tables_created", "indexes_created"):
                assert {*made[kind]} <= {name for _, name, *_ in there}, (kind, said)
            assert whole.index(there) >= len([one for one in done if one in STEPS]), said
            assert (init.returncode == 0) == (report["failure"] is None), said
        result = invoke("init", "-d", own_cluster.address, "--reports", str(folder))
        assert result.returncode == 0, (number, said, result.stdout, result.stderr)
        assert {*own_cluster.same_rows(OBJECTS)} == whole[-1]
    print(f"exit code, and steps that were done: {ended}")
    assert invoke("verify", "-d", own_cluster.address).returncode == 0


def test_fifty_writers_while_the_leader_is_killed(own_cluster: Cluster, invoke: Invoke) -> None:
    """Every acknowledged row is there, once, and no writer is stuck."""
    place = own_cluster.place
    assert invoke("init", "-d", own_cluster.address).returncode == 0
    acknowledged: list[tuple[str, float]] = []
    unknown: list[str] = []
    wrong: list[BaseException] = []
    killed: list[float] = []
    start = time.monotonic()

    def is_over() -> bool:
        """On a busy machine the election takes longer: at least one is acknowledged after it."""
        late = time.monotonic() - start - SECONDS
        is_seen = bool(killed and acknowledged and acknowledged[-1][1] > killed[0] + 0.1)
        return late > 0 and (is_seen or late > 30)

    def write(writer: int) -> None:
        with closing(open_cluster(place, "weak")) as conn:
            number = 0
            while not is_over():
                name = f"{writer}-{number}"
                number += 1
                try:
                    conn.execute(
                        "INSERT INTO sessions (id, app_name, user_id) VALUES (?, 'app', ?)",
                        (name, "it's"),
                    )
                except UnknownOutcomeError:
                    unknown.append(name)
                except NoLeaderError:
                    continue
                except BaseException as error:
                    wrong.append(error)
                    raise
                else:
                    acknowledged.append((name, time.monotonic()))

    threads = [threading.Thread(target=write, args=(one,)) for one in range(WRITERS)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS / 3)
    leader = own_cluster.leader()
    own_cluster.kill(leader)
    killed.append(time.monotonic())
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    after = [at for _, at in acknowledged if at > killed[0] + 0.1]
    assert after, "nothing is acknowledged any more"
    print(
        f"{len(acknowledged)} rows, {len(unknown)} of unknown outcome;"
        f" the next after {min(after) - killed[0]:.2f} s"
    )
    own_cluster.restart(leader)
    found = Counter(str(name) for (name,) in own_cluster.same_rows("SELECT id FROM sessions"))
    assert set(found.values()) == {1}
    told = {name for name, _ in acknowledged}
    assert told <= found.keys() <= told | set(unknown)
    assert len(own_cluster.same_rows("SELECT DISTINCT created_at FROM sessions")) > 1
    result = invoke("verify", "-d", own_cluster.address)
    assert result.returncode == 0, result.stdout
