"""Litestream streams a copy elsewhere while our tasks run: nothing is missing in the copy."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema import Database
from abathur_schema.declared.declaration import declared
from abathur_schema.storage.connection import connect
from abathur_schema.storage.litestream import beside
from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import ROOT, Invoke
from tests.support.everything import everything
from tests.support.kept import differences
from tests.support.litestream import (
    KEY,
    SECRET,
    Litestream,
    Replica,
    Writer,
    litestream,
    s3_server,
)
from tests.test_readme import blocks

METRIC = "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('t', '{}', 1)"
MANY = (
    "INSERT INTO metrics (timestamp, metric_name, metric_value) WITH RECURSIVE n(i) AS"
    " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT 't', 'many', i FROM n;"
)
BESIDE = [
    ("init", 1, 0),
    ("init", 3, 0),
    ("search", 0, 0),
    ("verify", 0, 0),
    ("backup", 0, 0),
    ("optimize", 0, 0),
    ("checkpoint", 0, 2),
    ("checkpoint --truncate", 0, 2),
    ("vacuum", 0, 2),
    ("restore state", 0, 2),
]
"""Task, generation of the database (0: ours; of 1, `init` rebuilds a table), exit code."""

WHILE_DOWN: dict[str, tuple[str, ...]] = {
    "rows": (),
    "a checkpoint": ("checkpoint",),
    "a truncated log": ("checkpoint --truncate",),
    "a vacuum": ("vacuum",),
    "a restore": ("restore state",),
}


@pytest.fixture(params=["folder", "s3"])
def replica(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replica]:
    """The place of the copy."""
    if request.param == "folder":
        yield {"path": str(tmp_path / "replica")}
    else:
        with s3_server(tmp_path / "objects") as server:
            yield server


@pytest.fixture
def folder_beside(tmp_path: Path, empty: Bundle) -> Litestream:
    """Litestream, not yet started, with a folder as the place of the copy."""
    return Litestream(empty.path, tmp_path, {"path": str(tmp_path / "replica")})


def same(streaming: Litestream, invoke: Invoke) -> bool:
    """Whether the copy, restored, is the database in everything, and proven."""
    target = streaming.folder / "restored.db"
    streaming.restore(target)
    assert differences(everything(streaming.database), everything(target)) == []
    return invoke("verify", "--database", str(target)).returncode == 0


def save(bundle: Bundle, state: Path) -> None:
    """Keep a state of the database, older than its next row."""
    state.mkdir()
    bundle.sql(f"VACUUM INTO '{state / 'database.db'}'; {METRIC.format('later')}")


@pytest.mark.parametrize(("task", "generation", "code"), BESIDE)
def test_task_beside_litestream_and_a_writer(
    task: str,
    generation: int,
    code: int,
    replica: Replica,
    empty: Bundle,
    invoke: Invoke,
    tmp_path: Path,
) -> None:
    if generation:
        older.make(empty.path, generation, tasks=300, audit=600)
        empty.sql("PRAGMA journal_mode = WAL")
    else:
        assert empty.run("init") == 0
        empty.sql(f"{MANY} DELETE FROM metrics WHERE id % 2")
    save(empty, tmp_path / "state")
    with Litestream(empty.path, tmp_path, replica) as streaming:
        with Writer(empty.path) as writer:
            writer.more(50)
            result = invoke(*task.split())
            writer.more(50)
        assert result.returncode == code, result.stderr
        if code:
            assert f"process {streaming.pid} (" in result.stderr
            assert "nothing was touched" in result.stderr
        streaming.sync()
        assert same(streaming, invoke)
        rows = empty.rows("SELECT count(*) FROM metrics WHERE metric_name = 'n'")
        assert rows == [(writer.committed,)]


@pytest.mark.parametrize("what", WHILE_DOWN)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_what_happens_while_litestream_is_down_is_caught_up(
    how: signal.Signals,
    what: str,
    bundle: Bundle,
    folder_beside: Litestream,
    invoke: Invoke,
    tmp_path: Path,
) -> None:
    save(bundle, tmp_path / "state")
    with folder_beside as streaming:
        bundle.sql(METRIC.format("not waited for"))
        streaming.end(how)
        bundle.sql(MANY + METRIC.format("while down"))
        for task in WHILE_DOWN[what]:
            assert invoke(*task.split()).returncode == 0
        bundle.sql(METRIC.format("after it"))
        with streaming:
            bundle.sql(METRIC.format("again"))
            streaming.sync()
            assert same(streaming, invoke)


def test_killed_writer(bundle: Bundle, folder_beside: Litestream, invoke: Invoke) -> None:
    with folder_beside as streaming:
        with Writer(bundle.path) as writer:
            writer.more(100)
            writer.process.kill()
        streaming.sync()
        assert same(streaming, invoke)
        rows = bundle.rows("SELECT count(*) FROM metrics WHERE metric_name = 'n'")
        assert rows[0][0] >= writer.committed > 100


def test_back_to_a_point_in_time(
    replica: Replica, bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    names = "SELECT metric_name FROM metrics ORDER BY id"
    with Litestream(bundle.path, tmp_path, replica) as streaming:
        bundle.sql(METRIC.format("before"))
        then = streaming.sync()
        time.sleep(0.01)
        bundle.sql(METRIC.format("after"))
        streaming.sync()
        streaming.end(signal.SIGKILL)
        streaming.restore(state / "database.db", then)
        assert invoke("verify", "--database", str(state / "database.db")).returncode == 0
        assert invoke("restore", str(state)).returncode == 0
        assert bundle.rows(names) == [("before",)]
        with streaming:
            bundle.sql(METRIC.format("anew"))
            streaming.sync()
            assert same(streaming, invoke)
    assert bundle.rows(names) == [("before",), ("anew",)]


def test_lost_machine(replica: Replica, bundle: Bundle, invoke: Invoke, tmp_path: Path) -> None:
    with Litestream(bundle.path, tmp_path, replica) as streaming:
        bundle.sql(MANY)
        before = everything(bundle.path)
        streaming.sync()
        streaming.end(signal.SIGKILL)
        for path in tmp_path.glob("*abathur.db*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        streaming.restore(bundle.path)
        assert differences(before, everything(bundle.path)) == []
        assert invoke("verify").returncode == 0
        with streaming:
            bundle.sql(METRIC.format("anew"))
            streaming.sync()
            assert same(streaming, invoke)


def test_what_our_tasks_say_about_litestream(
    bundle: Bundle, folder_beside: Litestream, invoke: Invoke
) -> None:
    with folder_beside as streaming:
        status = json.loads(invoke("status", "--json").stdout)
        assert status["open_in"][0].startswith(f"process {streaming.pid} (")
        assert status["settings"]["wal_autocheckpoint"] == "0"
        assert status["settings_declared"]
        assert invoke("plan").returncode == 0
        verified = invoke("verify")
        assert verified.returncode == 0
        assert "table _litestream_seq" in verified.stdout
        assert invoke("vacuum", "--dry-run").returncode == 0


@pytest.mark.parametrize(("is_beside", "pages"), [(False, 1000), (True, 0)])
async def test_application_leaves_checkpoints_to_litestream(
    is_beside: bool, pages: int, bundle: Bundle
) -> None:
    if is_beside:
        bundle.path.with_name(f".{bundle.path.name}-litestream").mkdir()
    async with Database(bundle.path) as db:
        for _ in range(2):  # the second is handed out as good as new
            async with db._get_connection() as connection:
                (row,) = await connection.execute_fetchall("PRAGMA wal_autocheckpoint")
                assert tuple(row) == (pages,)
                await connection.execute("PRAGMA wal_autocheckpoint = 7")
    assert bundle.run("verify") == 0


async def test_its_folder_is_found_beside_a_link_and_beside_the_file(
    bundle: Bundle, tmp_path: Path
) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(bundle.path)
    for folder in (
        link.with_name(".link.db-litestream"),
        bundle.path.with_name(f".{bundle.path.name}-litestream"),
    ):
        folder.mkdir()
        async with Database(link) as db, db.connection() as connection:
            (row,) = await connection.execute_fetchall("PRAGMA wal_autocheckpoint")
        assert tuple(row) == (0,)
        folder.rmdir()


@pytest.mark.parametrize("place", [0, 1], ids=["folder", "s3"])
def test_configuration_of_the_documentation(place: int, bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql(METRIC.format("one"))
    text = blocks(ROOT / "docs" / "scale.md", "yaml")[place]
    with s3_server(tmp_path / "objects") as server:
        for shown, ours in {
            "/srv/swarm/abathur.db": str(bundle.path),
            "/mnt/copy/swarm": str(tmp_path / "replica"),
            "${SWARM_KEY}": KEY,
            "${SWARM_SECRET}": SECRET,
            "http://127.0.0.1:9000": str(server["endpoint"]),
        }.items():
            text = text.replace(shown, ours)
        (tmp_path / "litestream.yml").write_text(text)
        from_it = ("-config", str(tmp_path / "litestream.yml"))
        assert litestream("replicate", *from_it, "-once").returncode == 0
        target = tmp_path / "back.db"
        assert litestream("restore", *from_it, "-o", str(target), str(bundle.path)).returncode == 0
        assert differences(everything(bundle.path), everything(target)) == []


@pytest.mark.faults
def test_bursts_of_a_busy_application(
    bundle: Bundle,
    folder_beside: Litestream,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """With a checkpoint by each commit beyond 1,000 pages, 4 copies of 32 were spoiled."""
    bundle.sql(MANY)
    with folder_beside as streaming:
        for number in range(10):
            end = time.monotonic() + 4
            settings = beside(bundle.path, declared()).settings
            with closing(connect(bundle.path, "rw", settings)) as connection:
                while time.monotonic() < end:
                    connection.execute(METRIC.format("one"))
                    connection.execute("UPDATE metrics SET timestamp = id WHERE id % 10 = 1")
                    time.sleep(0.02)
            streaming.sync()
            target = tmp_path / f"restored-{number}.db"
            streaming.restore(target)
            assert differences(everything(bundle.path), everything(target)) == []
    record_property("faults", ("bursts beside Litestream", {"nothing missing": 10}))
