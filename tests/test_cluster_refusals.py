"""Statements that are sent to a cluster: none that never ends or is about a file, and none that
nodes would do differently, also when they start again.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from abathur_schema.errors import BatchError
from abathur_schema.storage.cluster import ClusterConnection, open_cluster
from abathur_schema.storage.rqlite import Nodes
from tests.support.commands import Invoke
from tests.support.rqlite import Cluster
from tests.test_cluster_statements import TABLES


@pytest.fixture
def conn(cluster: Cluster) -> Iterator[ClusterConnection]:
    """A connection to all nodes, with two tables."""
    with closing(open_cluster(cluster.place)) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        connection.execute("INSERT INTO t VALUES (1, 2)")
        yield connection


NEVER_ENDING = ("", " ; ", "-- c", "/* c */", ";;", "select a from t; -- c", "select a from t ;")


def test_no_statement_that_never_ends_is_sent(
    conn: ClusterConnection, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    send = Nodes._send

    def note(self: Nodes, method: str, path: str, body: bytes, *, repeat: bool) -> bytes:
        sent.append(body)
        return send(self, method, path, body, repeat=repeat)

    monkeypatch.setattr(Nodes, "_send", note)
    for before in ((), ("BEGIN",)):
        for statement in (*before, *NEVER_ENDING, *map("explain {}".format, NEVER_ENDING[5:])):
            conn.execute(statement).fetchall()
    conn.execute("delete from t where a = 3; -- c")
    conn.commit()
    assert len(sent) >= 6
    for body in sent:
        assert b"--" not in body
        assert b";" not in body.replace(b"', ';')", b"").replace(b"';'", b"")
    assert cluster.rows("SELECT * FROM t") == [(1, 2)]


REFUSED = {
    "PRAGMA user_version": "about one file",
    "PRAGMA wal_checkpoint": "about one file",
    "PRAGMA main.journal_mode": "about one file",
    "PRAGMA integrity_check": "about one file",
    "PRAGMA foreign_keys = OFF": "foreign keys must be off",
    "PRAGMA foreign_keys = no": "foreign keys must be off",
    "PRAGMA foreign_keys(0)": "foreign keys must be off",
    "VACUUM": "VACUUM is about one file",
    "ATTACH 'other.db' AS other": "ATTACH is about one file",
    "DETACH other": "DETACH is about one file",
    "CREATE TEMP TABLE x (a)": "no temporary tables",
    "CREATE TEMPORARY VIEW x AS SELECT 1": "no temporary tables",
    "SAVEPOINT a": "holds no transaction open",
    "RELEASE a": "holds no transaction open",
    "ROLLBACK TO a": "holds no transaction open",
    "ROLLBACK TRANSACTION TO SAVEPOINT a": "holds no transaction open",
    "INSERT INTO t VALUES (3, 4) RETURNING a": "Leave out RETURNING",
    "CREATE TABLE x AS SELECT random() AS a": "RANDOM",
}


def test_what_only_a_file_can_do_is_refused(conn: ClusterConnection, cluster: Cluster) -> None:
    for statement, says in REFUSED.items():
        with pytest.raises(BatchError, match=says):
            conn.execute(statement).fetchall()
    with pytest.raises(sqlite3.OperationalError, match="incomplete input"):
        conn.execute("PRAGMA")
    assert conn.execute("PRAGMA foreign_keys").fetchone() is not None
    assert cluster.rows("SELECT * FROM t") == [(1, 2)]
    assert cluster.rows("SELECT name FROM sqlite_schema") == [("t",)]


def test_what_is_pending_has_no_rows(conn: ClusterConnection) -> None:
    conn.execute("BEGIN")
    cursor = conn.execute("INSERT INTO t VALUES (3, 4) RETURNING a")
    for read in (cursor.fetchone, cursor.fetchall, cursor.fetchmany, lambda: [*cursor]):
        with pytest.raises(BatchError, match="Leave out RETURNING"):
            read()


def test_the_clock_is_the_same_on_every_node_also_after_they_started_again(
    own_cluster: Cluster,
) -> None:
    with closing(open_cluster(own_cluster.place)) as conn:
        for statement in TABLES:
            conn.execute(statement)
        for number in range(3):
            conn.execute("INSERT INTO clocked (a) VALUES (?), ('now')", (number,))
        conn.execute("INSERT INTO plain VALUES (CURRENT_TIMESTAMP, julianday('now'))")
        conn.execute("UPDATE plain SET a = datetime(a, '-1 day'), b = time()")
        conn.execute("BEGIN")
        # Each node decides by what was read, again when it starts.
        old = conn.execute("SELECT a, datetime('now') FROM plain WHERE a < datetime('now')")
        assert len(old.fetchall()) == 1
        conn.execute("INSERT INTO plain VALUES ('acknowledged', strftime('%Y'))")
        conn.commit()
        for refused in ("SELECT random() FROM plain", "SELECT * FROM today"):
            conn.execute("BEGIN")
            with pytest.raises(BatchError, match="would give another value"):
                conn.execute(refused)
            conn.rollback()
    own_cluster.caught_up()
    queries = ("SELECT * FROM plain", "SELECT * FROM clocked")
    before = [
        repr([own_cluster.rows(query, node) for query in queries]) for node in own_cluster.nodes
    ]
    own_cluster.kill(*own_cluster.nodes)
    own_cluster.restart(*own_cluster.nodes)
    own_cluster.caught_up()
    after = [
        repr([own_cluster.rows(query, node) for query in queries]) for node in own_cluster.nodes
    ]
    assert {*before, *after} == {before[0]}
    assert before[0].count("acknowledged") == 1


def test_nodes_that_do_not_enforce_foreign_keys(own_cluster: Cluster, invoke: Invoke) -> None:
    where = ("-d", own_cluster.address)
    assert invoke("init", *where).returncode == 0
    nodes = own_cluster.nodes
    own_cluster.kill(*nodes)
    for node in nodes:
        node.command.remove("-fk")
    own_cluster.restart(*nodes)
    for task in ("init", "memory", "plan"):
        refused = invoke(task, *where)
        assert (refused.returncode, "start each node with -fk" in refused.stderr) == (2, True)
    found = invoke("verify", *where)
    assert found.returncode == 1
    assert "fail: foreign keys are enforced" in found.stdout
    assert "what to do: start each node with -fk" in found.stdout


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda conn: conn.execute("SELECT last_insert_rowid()"), "Read the row by its key"),
        (lambda conn: conn.execute("SELECT changes()"), "Read the row by its key"),
        (lambda conn: conn.backup(sqlite3.connect(":memory:")), "invoke backup"),
        (lambda conn: conn.serialize(), "invoke backup"),
        (lambda conn: conn.execute("PRAGMA page_count"), "ask it of the nodes"),
    ],
    ids=["the last rowid", "changes", "backup", "serialize", "pages"],
)
def test_what_is_about_one_connection_or_file(
    act: Callable[[sqlite3.Connection], object], says: str, cluster: Cluster
) -> None:
    with closing(open_cluster(cluster.place)) as conn, pytest.raises(BatchError, match=says):
        act(conn)


def test_an_update_without_returning_gives_no_rows(cluster: Cluster) -> None:
    with closing(open_cluster(cluster.place)) as conn:
        conn.execute("CREATE TABLE t (a)")
        conn.execute("BEGIN")
        assert conn.execute("INSERT INTO t VALUES (1)").fetchall() == []
        conn.execute("COMMIT")
        assert conn.execute("SELECT a FROM t").fetchall() == [(1,)]
