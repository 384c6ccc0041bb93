"""The tasks on a cluster: they do what they do to a file, or say what to do instead."""

import http.server
import re
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import older
from tests.support.bundle import OBJECTS, Bundle, reports, valid
from tests.support.commands import Invoke, environment, invoke_command, no_trace
from tests.support.generation_4 import running
from tests.support.rqlite import HOST, Cluster

On = Callable[..., tuple[int, str]]
"""Runs `invoke` on the cluster. Returns the exit code and what it has said."""

SESSION = "INSERT INTO sessions (id, app_name, user_id, created_at, last_update_time)"


@pytest.fixture
def on(cluster: Cluster, invoke: Invoke) -> On:
    def run(*arguments: str) -> tuple[int, str]:
        result = invoke(*arguments, "--database", cluster.address)
        no_trace(result)
        return result.returncode, result.stdout + result.stderr

    return run


def objects_of_a_file(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(OBJECTS).fetchall()


def on_each_node(cluster: Cluster, query: str = OBJECTS) -> list[list[tuple[object, ...]]]:
    """The rows of every node."""
    cluster.caught_up()
    return [cluster.rows(query, node) for node in cluster.nodes]


def newest(folder: Path) -> dict[str, Any]:
    return reports(folder / "reports")[-1]


def test_init_as_on_a_file(on: On, cluster: Cluster, bundle: Bundle, tmp_path: Path) -> None:
    code, said = on("plan")
    assert code == 1
    assert "CREATE TABLE tasks" in said
    assert on_each_node(cluster) == [[]] * 3
    code, said = on("init")
    assert (code, "checks passed" in said) == (0, True), said
    report = newest(tmp_path)
    assert (
        report["orchestration_context"]["context_for_next_agent"]["database_path"]
        == cluster.address
    )
    assert on_each_node(cluster) == [objects_of_a_file(bundle.path)] * 3
    code, said = on("init")
    statuses = {step["name"]: step["status"] for step in newest(tmp_path)["steps"]}
    assert (code, {*statuses.values()}) == (0, {"unchanged"})
    code, said = on("plan")
    assert (code, "nothing to do" in said) == (0, True)
    code, said = on("verify")
    assert (code, "checks passed" in said) == (0, True)
    (apart,) = [one for one in newest(tmp_path)["checks"] if "left out" in one["name"]]
    assert apart["status"] == "info"
    names = [line.partition(":")[0] for line in apart["findings"]]
    assert names[:2] == ["settings of sql/pragma.sql", "integrity_check"]
    assert all(line in said for line in apart["findings"])


def test_the_optional_step(on: On, cluster: Cluster) -> None:
    assert on("init")[0] == 0
    code, said = on("search")
    assert code == 0, said
    cluster.execute(
        "INSERT INTO document_index (file_path, title, content_hash, created_at, updated_at)"
        " VALUES ('a.md', 'quick fox', 'h', '2026', '2026')"
    )
    query = "SELECT rowid FROM document_search WHERE document_search MATCH 'fox'"
    assert on_each_node(cluster, query) == [[(1,)]] * 3
    # After it, virtual tables come last in the schema.
    for node in cluster.nodes:
        node.run("/db/execute", "VACUUM")
    code, said = on("verify")
    assert (code, "document_search" in said) == (0, True), said


def test_one_step_at_a_time(on: On, cluster: Cluster, tmp_path: Path) -> None:
    """The memory tables come two weeks after the core tables."""
    for step, code in (
        ("core-indexes", 2),
        ("memory-indexes", 2),
        ("core", 0),
        ("memory-indexes", 2),
    ):
        found, said = on(step)
        assert found == code, said
        assert ("nothing was touched" in said) == (code == 2)
    for step in ("core-indexes", "memory", "memory-indexes"):
        assert on(step)[0] == 0
        valid(newest(tmp_path))
    assert on("verify")[0] == 0
    assert on("plan")[0] == 0


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
def test_an_older_database(generation: int, on: On, cluster: Cluster, tmp_path: Path) -> None:
    old = state(tmp_path, generation)
    code, said = on("restore", str(old))
    assert code == 0, said
    rows = on_each_node(cluster, "SELECT * FROM audit ORDER BY rowid")
    before = on_each_node(cluster)
    assert rows[0]
    assert before == [before[0]] * 3
    code, said = on("plan")
    assert (code, "core would fail: this makes a table anew" in said) == (
        1,
        NEEDS_A_REBUILD[generation],
    )
    code, said = on("init")
    if NEEDS_A_REBUILD[generation]:
        assert (code, on_each_node(cluster)) == (3, before)
        assert "core failed: this makes a table anew" in said
        report = newest(tmp_path)
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
    assert on("plan")[0] == 0
    assert on("verify")[0] == 0
    columns = ", ".join(old_columns(old / "database.db"))
    kept = on_each_node(cluster, f"SELECT {columns} FROM audit ORDER BY rowid")
    assert kept == rows


def old_columns(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return older.columns_of(connection, "audit")


def test_broken_rows_are_refused_as_on_a_file(
    on: On, cluster: Cluster, bundle: Bundle, tmp_path: Path
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
    assert on("restore", str(broken))[0] == 0
    before = on_each_node(cluster)
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
        failure = newest(tmp_path)["failure"]
        told.append((result.returncode, failure["step"], failure["error"]))
    assert told[0] == told[1]
    assert told[0][0] == 3
    assert "1 row violates" in told[0][2]
    assert on_each_node(cluster) == before
    code, said = on("plan")
    assert (code, "1 row violates" in said) == (1, True)


def test_a_schema_of_ones_own(on: On, cluster: Cluster, tmp_path: Path) -> None:
    own = tmp_path / "own" / "sql"
    own.mkdir(parents=True)
    (own / "core.sql").write_text(
        "-- Notes.\nCREATE TABLE notes (id INTEGER PRIMARY KEY, of TEXT REFERENCES tasks(id));\n"
    )
    (own / "core-indexes.sql").write_text("-- By task.\nCREATE INDEX idx_notes_of ON notes(of);\n")
    plans = tmp_path / "own" / "checks" / "plans"
    plans.mkdir(parents=True)
    (plans / "notes.sql").write_text(
        "-- Which notes are about a task?\n-- index: idx_notes_of\n"
        "SELECT id FROM notes WHERE of = :task;\n"
    )
    code, said = on("init", "--schema", str(tmp_path / "own"))
    assert code == 0, said
    assert on("verify", "--schema", str(tmp_path / "own"))[0] == 0
    query = "SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'notes'"
    assert on_each_node(cluster, query) == [[(2,)]] * 3


@pytest.mark.parametrize("number", [2, 5])
def test_several_init_at_once(
    number: int, cluster: Cluster, bundle: Bundle, tmp_path: Path
) -> None:
    running = [
        subprocess.Popen(
            invoke_command("init", "-d", cluster.address, "--reports", f"reports-{one}"),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for one in range(number)
    ]
    said = [one.communicate(timeout=60)[0] for one in running]
    assert [one.returncode for one in running] == [0] * number, said
    assert on_each_node(cluster) == [objects_of_a_file(bundle.path)] * 3
    made = [
        table
        for one in range(number)
        for report in reports(tmp_path / f"reports-{one}")
        for table in report["deliverables"]["tables_created"]
    ]
    assert len(made) == len(set(made)) == 9


def test_backup_and_restore(on: On, cluster: Cluster, invoke: Invoke, tmp_path: Path) -> None:
    assert on("init")[0] == 0
    cluster.execute(f"{SESSION} VALUES ('kept', 'a', 'u', '2026-01-02 03:04:05', x'00ff')")
    code, said = on("backup")
    assert code == 0, said
    (kept,) = (tmp_path / "reports").glob("*-backup")
    cluster.execute("DELETE FROM sessions")
    code, said = on("restore", str(kept), "--rehearse")
    assert (code, "rehearsal" in said) == (0, True)
    assert on_each_node(cluster, "SELECT id FROM sessions") == [[]] * 3
    code, said = on("restore", str(kept))
    assert (code, "a cluster cannot be locked" in said) == (0, True)
    query = "SELECT id, created_at, last_update_time FROM sessions"
    wanted = [("kept", "2026-01-02 03:04:05", b"\0\xff")]
    assert on_each_node(cluster, query) == [wanted] * 3
    assert on("verify")[0] == 0
    result = invoke("restore", str(kept), "--database", "local.db")
    assert result.returncode == 0, result.stderr
    result = invoke("verify", "--database", "local.db")
    assert result.returncode == 0, result.stdout
    with closing(sqlite3.connect(tmp_path / "local.db")) as connection:
        assert connection.execute(query).fetchall() == wanted
    code, said = on("restore")
    assert (code, said.count("`invoke restore")) == (0, 2), said
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "database.db").write_bytes((kept / "database.db").read_bytes()[:20000])
    assert on("restore", str(damaged))[0] == 2
    assert on_each_node(cluster, query) == [wanted] * 3


@pytest.mark.parametrize(
    "address",
    [
        "rqlite://",
        "rqlite://localhost",
        "rqlite://:4001",
        "rqlite://a:b",
        "rqlite://a:1,",
        "rqlite://a:1/x",
    ],
)
def test_wrong_addresses(address: str, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("init", "--database", address)
    assert (result.returncode, [*tmp_path.iterdir()]) == (2, []), result.stderr
    assert "rqlite://10.0.0.1:4001" in result.stderr
    no_trace(result)


TASKS_FOR_FILES = ("status", "vacuum", "checkpoint", "optimize", "forget", "show", "docs", "pragma")


def test_tasks_that_are_about_a_file(on: On) -> None:
    for task in TASKS_FOR_FILES:
        code, said = on(task)
        assert (code, "`invoke backup`" in said or "`invoke core`" in said) == (2, True), said
        assert f"`invoke {task}`" in said or task == "pragma"


class Another(http.server.BaseHTTPRequestHandler):
    """A server that is not rqlite."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["nobody listens", "nobody accepts", "another server"])
def wrong(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of what is no cluster."""
    if request.param == "another server":
        with http.server.ThreadingHTTPServer((HOST, 0), Another) as server:
            threading.Thread(target=server.serve_forever).start()
            yield f"rqlite://{HOST}:{server.server_port}"
            server.shutdown()
        return
    with socket.create_server((HOST, 0), backlog=0) as server, closing(socket.socket()) as first:
        port = server.getsockname()[1]
        if request.param == "nobody listens":
            server.close()
        else:
            first.connect((HOST, port))  # the queue is full: who comes next waits
        yield f"rqlite://{HOST}:{port}"


def test_who_is_no_cluster_is_not_waited_for_long(
    wrong: str, invoke: Invoke, tmp_path: Path
) -> None:
    ran = []
    for task in ("init", "verify"):
        command = invoke_command(task, "--database", wrong)
        pipe = subprocess.PIPE
        ran.append(
            subprocess.Popen(
                command, cwd=tmp_path, env=environment(), stderr=pipe, stdout=pipe, text=True
            )
        )
    started = time.monotonic()
    said = ["".join(one.communicate(timeout=60)) for one in ran]
    assert time.monotonic() - started < 16
    assert [one.returncode for one in ran] == [2, 2], said
    assert not any("Traceback" in one for one in said)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
