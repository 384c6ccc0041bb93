"""Transactions on a cluster: whether one took place whose answer was lost, and which of two that
read the same.
"""

import sqlite3
from contextlib import closing, suppress
from typing import Any

import pytest

from abathur_schema.errors import ConflictError, NoLeaderError, UnknownOutcomeError
from abathur_schema.place import Address
from abathur_schema.storage.cluster import ClusterConnection, open_cluster
from tests.support.bundle import OBJECTS, Bundle
from tests.support.commands import Invoke
from tests.support.ports import HOST
from tests.support.proxy import between
from tests.support.rqlite import Cluster


def table(cluster: Cluster) -> None:
    cluster.execute("CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, 2)")


def test_a_write_whose_answer_is_lost_is_not_sent_again(cluster: Cluster) -> None:
    table(cluster)
    with between(cluster, lambda request: b"/db/execute" in request) as proxy:
        with closing(open_cluster(proxy.place)) as conn:
            with pytest.raises(UnknownOutcomeError, match="the answer was lost"):
                conn.execute("INSERT INTO t VALUES (3, 4)")
            conn.execute("BEGIN")
            conn.execute("INSERT INTO t VALUES (5, 6)")
            with pytest.raises(UnknownOutcomeError):
                conn.commit()
            assert not conn.in_transaction
        writes = [one for one in proxy.requests if b"/db/execute" in one]
    assert len(writes) == 2
    assert cluster.same_rows("SELECT * FROM t") == [(1, 2), (3, 4), (5, 6)]


def test_a_change_of_the_schema_whose_answer_is_lost_is_looked_for(cluster: Cluster) -> None:
    lost = between(cluster, lambda request: b"/db/execute" in request)
    with lost as proxy, closing(open_cluster(proxy.place)) as conn:
        conn.execute("BEGIN")
        conn.execute("CREATE TABLE t (a)")
        conn.execute("COMMIT")
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)
        proxy.forwards = False
        conn.execute("BEGIN")
        conn.execute("CREATE TABLE u (a)")
        with pytest.raises(NoLeaderError, match=r"the answer was lost.* and nothing was done"):
            conn.commit()
    assert cluster.same_rows("SELECT name FROM sqlite_schema") == [("t",)]


def test_a_step_whose_answer_is_lost_is_tried_again(
    cluster: Cluster, invoke: Invoke, bundle: Bundle
) -> None:
    lost: list[bytes] = []

    def drops(request: bytes) -> bool:
        proxy.forwards = len(lost) % 2 == 1
        is_dropped = b"CREATE" in request and b"/db/execute" in request and len(lost) < 4
        lost.extend([request] * is_dropped)
        return is_dropped

    with between(cluster, drops) as proxy:
        result = invoke("init", "-d", str(proxy.place))
        assert (result.returncode, len(lost)) == (0, 4), result.stderr
    assert cluster.same_rows(OBJECTS) == bundle.rows(OBJECTS)


def test_a_read_whose_answer_is_lost_is_repeated(cluster: Cluster) -> None:
    table(cluster)
    lost: list[bytes] = []

    def drops(request: bytes) -> bool:
        if b"FROM t" in request and len(lost) < 3:
            lost.append(request)
            return True
        return False

    with between(cluster, drops) as proxy, closing(open_cluster(proxy.place)) as conn:
        assert conn.execute("SELECT * FROM t").fetchall() == [(1, 2)]
    assert len(lost) == 3
    assert len(set(lost)) == 1


def test_a_connection_that_the_node_has_closed_is_opened_again(own_cluster: Cluster) -> None:
    """The node starts again while nobody asks: the next write is known to be done."""
    table(own_cluster)
    node = own_cluster.followers()[0]
    with closing(open_cluster(Address((f"{HOST}:{node.port}",)))) as conn:
        own_cluster.kill(node)
        own_cluster.restart(node)
        conn.execute("INSERT INTO t VALUES (3, 4)")
        own_cluster.kill(node)
        node.start()  # it does not know the leader yet, or is not open
        conn.execute("INSERT INTO t VALUES (5, 6)")
    assert own_cluster.same_rows("SELECT * FROM t") == [(1, 2), (3, 4), (5, 6)]


def test_one_of_two_transactions_that_read_the_same_wins(cluster: Cluster) -> None:
    table(cluster)
    place = cluster.place
    with closing(open_cluster(place)) as one, closing(open_cluster(place)) as other:
        for number in range(4):
            won = []
            both = [one, other] if number % 2 else [other, one]
            for conn in both:
                conn.execute("BEGIN")
                ((value,),) = conn.execute("SELECT b FROM t WHERE a = 1").fetchall()
                conn.execute("UPDATE t SET b = ? WHERE a = 1", (f"{value}\0{number}",))
            for conn in both:
                with suppress(ConflictError):
                    conn.commit()
                    won.append(conn)
            assert won == both[:1]
        # Text that differs only behind U+0000 differs.
        assert cluster.same_rows("SELECT b FROM t") == [("2\x000\x001\x002\x003",)]


def test_a_transaction_after_somebody_changed_the_schema(cluster: Cluster) -> None:
    """It is refused once; the next one, and a query outside, see the schema as it is now."""
    table(cluster)
    place = cluster.place

    def lent() -> ClusterConnection:
        conn = open_cluster(place)
        conn.isolation_level = ""  # type: ignore[assignment]  # as applications have it
        return conn

    with closing(lent()) as conn:
        conn.execute("INSERT INTO t VALUES (3, 4)")
        cluster.execute("ALTER TABLE t ADD COLUMN c DEFAULT 'new'")
        with pytest.raises(ConflictError):
            conn.commit()
        conn.execute("INSERT INTO t (a, c) VALUES (5, 6)")
        conn.commit()
        cluster.execute("ALTER TABLE t ADD COLUMN d")
        wanted: list[Any] = [(1, 2, "new", None), (5, None, 6, None)]
        assert conn.execute("SELECT * FROM t").fetchall() == wanted
    assert cluster.same_rows("SELECT * FROM t") == wanted


def test_an_error_of_the_application_is_no_conflict(cluster: Cluster) -> None:
    table(cluster)
    with closing(open_cluster(cluster.place)) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT * FROM t").fetchall()
        conn.execute("UPDATE t SET a = json('{')")
        with pytest.raises(sqlite3.OperationalError, match="malformed JSON") as error:
            conn.commit()
    assert error.type is sqlite3.OperationalError
    assert cluster.same_rows("SELECT * FROM t") == [(1, 2)]


def test_with_sends_what_was_written(cluster: Cluster) -> None:
    table(cluster)
    with closing(open_cluster(cluster.place)) as conn:
        with conn:
            conn.execute("BEGIN")
            conn.execute("INSERT INTO t VALUES (3, 4)")
        with suppress(KeyError), conn:
            conn.execute("BEGIN")
            conn.execute("INSERT INTO t VALUES (5, 6)")
            raise KeyError
        assert not conn.in_transaction
    assert cluster.same_rows("SELECT * FROM t") == [(1, 2), (3, 4)]
