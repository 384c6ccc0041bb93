"""Older and broken databases on a cluster: what can be done is done, and the rest says how to."""

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import older
from tests.support.bundle import OBJECTS, Bundle, reports
from tests.support.commands import Told, environment, invoke_command
from tests.support.generation_4 import running
from tests.support.rqlite import Cluster


def state(folder: Path, generation: int) -> Path:
    """A preserved state of an older application's database."""
    made = folder / f"generation-{generation}"
    made.mkdir()
    path = made / "database.db"
    if generation == 4:
        with running(path) as application:
            application.start()
            application.work()
    else:
        older.make(path, generation)
    return made


NEEDS_A_REBUILD = {1: True, 2: True, 3: False, 4: False}


@pytest.mark.parametrize("generation", NEEDS_A_REBUILD)
def test_an_older_database(
    generation: int, on_cluster: Told, cluster: Cluster, tmp_path: Path
) -> None:
    old = state(tmp_path, generation)
    code, said = on_cluster("restore", str(old))
    assert code == 0, said
    rows = cluster.same_rows("SELECT * FROM audit ORDER BY rowid")
    before = cluster.same_rows(OBJECTS)
    assert rows
    code, said = on_cluster("plan")
    assert (code, "core would fail: this makes a table anew" in said) == (
        1,
        NEEDS_A_REBUILD[generation],
    )
    code, said = on_cluster("init")
    if NEEDS_A_REBUILD[generation]:
        assert (code, cluster.same_rows(OBJECTS)) == (3, before)
        assert "core failed: this makes a table anew" in said
        report = reports(tmp_path / "reports")[-1]
        assert report["failure"]["step"] == "core"
        # The remedy can be run as it stands.
        said = re.sub(r"\s+", " ", said)
        todo = re.findall(r"`(.*?)`", said[said.index("what to do: ") :].partition("state pre")[0])
        assert [one.split()[0] for one in todo] == ["mkdir", "invoke", "invoke", "invoke"]
        for command in todo:
            words = command.split()
            words = invoke_command(*words[1:]) if words[0] == "invoke" else words
            subprocess.run(words, cwd=tmp_path, env=environment(), check=True, capture_output=True)
    else:
        assert code == 0, said
    assert on_cluster("plan")[0] == 0
    assert on_cluster("verify")[0] == 0
    columns = ", ".join(old_columns(old / "database.db"))
    kept = cluster.same_rows(f"SELECT {columns} FROM audit ORDER BY rowid")
    assert kept == rows


def old_columns(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return older.columns_of(connection, "audit")


def test_broken_rows_are_refused_as_on_a_file(
    on_cluster: Told, cluster: Cluster, bundle: Bundle, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(bundle.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (metric_value >= 0)', '')"
            " WHERE name = 'metrics'"
        )
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute(
            "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES (1, 'm', -1)"
        )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "database.db").write_bytes(bundle.path.read_bytes())
    assert on_cluster("restore", str(broken))[0] == 0
    before = cluster.same_rows(OBJECTS)
    told = []
    for database in (str(bundle.path), cluster.address):
        result = subprocess.run(
            invoke_command("init", "--database", database),
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        failure = reports(tmp_path / "reports")[-1]["failure"]
        told.append((result.returncode, failure["step"], failure["error"]))
    assert told[0] == told[1]
    assert told[0][0] == 3
    assert "1 row violates" in told[0][2]
    assert cluster.same_rows(OBJECTS) == before
    code, said = on_cluster("plan")
    assert (code, "1 row violates" in said) == (1, True)
