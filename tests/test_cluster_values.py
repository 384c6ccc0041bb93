"""Values on a cluster: what goes in is stored as SQLite stores it in a file, and comes out again,
from every node.
"""

import array
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abathur_schema.place import Address
from abathur_schema.schema.scratch import exactly
from abathur_schema.storage.cluster import ClusterConnection, open_cluster
from tests.support.ports import HOST
from tests.support.rqlite import Cluster

# From 3.12 on, Python warns of values that it adapts, and of names in a sequence's place.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TYPES = ("TEXT", "INTEGER", "REAL", "BLOB", "TIMESTAMP", "BOOLEAN", "")
TABLE = f"CREATE TABLE v ({', '.join(f'c{number} {type_}' for number, type_ in enumerate(TYPES))})"

VALUES: dict[str, Any] = {
    "NULL": None,
    "true": True,
    "zero": 0,
    "more than a float holds": 2**53 + 1,
    "the largest": 2**63 - 1,
    "the smallest": -(2**63),
    "minus zero": -0.0,
    "a whole float": 1.0,
    "0.1": 0.1,
    "a large float": 1e308,
    "a tiny float": 5e-324,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "not a number": math.nan,
    "no text": "",
    "a number as text": "12",
    "a float as text": "1.50",
    "infinity as text": "Inf",
    "quotes": 'it\'s "quoted" `so` [too]',
    "lines": "a\n\r\tb\u2028c",
    "U+0000": "a\0b\0",
    "only U+0000": "\0",
    "emoji": "\U0001f9ff é 中",
    "marks": "? ?1 :x @y $z -- c /* d */ ; ' --",
    "now": "now",
    "no BLOB": b"",
    "a BLOB": b"\0\xff'\0\n",
    "a BLOB like text": b"text",
    "a large BLOB": bytes(range(256)) * 4096,
    "a time": "2026-01-02 03:04:05",
    "a time in ISO 8601": "2026-01-02T03:04:05.678901+00:00",
    "a date": "2026-01-02",
    "a datetime": datetime(2026, 1, 2, 3, 4, 5),
    "a day": date(2026, 1, 2),
    "an array": array.array("f", [1.0, -1.5]),
    "a part": memoryview(b"abcdef")[1:3],
}

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def conn(running_cluster: Cluster) -> Iterator[ClusterConnection]:
    """A connection to all nodes, with the table `v`, and one of 2,000 rows."""
    running_cluster.empty()
    with closing(open_cluster(running_cluster.place)) as connection:
        connection.execute(TABLE)
        connection.execute("CREATE TABLE q (a, b)")
        connection.execute("CREATE TABLE many (n INTEGER PRIMARY KEY, half)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO many SELECT i, i / 2.0 FROM n"
        )
        yield connection


@pytest.fixture
def v(conn: ClusterConnection) -> ClusterConnection:
    """The same, with nothing in `v`, and as a new connection has its rows."""
    conn.execute("DELETE FROM v")
    conn.row_factory = None
    return conn


@pytest.fixture
def local() -> Iterator[sqlite3.Connection]:
    """SQLite itself, with the same table."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.text_factory = exactly
        connection.execute(TABLE)
        yield connection


def stored(cluster: Cluster) -> list[str]:
    """What each node has, with storage classes."""
    cluster.caught_up()
    return [repr(cluster.rows("SELECT * FROM v ORDER BY rowid", node)) for node in cluster.nodes]


@pytest.mark.parametrize("named", [False, True], ids=["by place", "by name"])
def test_stored_as_in_a_file_and_read_as_stored(
    named: bool, v: ClusterConnection, local: sqlite3.Connection, running_cluster: Cluster
) -> None:
    marks = (
        ":value, @value, $value, :value, @value, $value, :value" if named else "?, ?, ?, ?, ?, ?, ?"
    )
    insert = f"INSERT INTO v VALUES ({marks})"
    values = {name: value for name, value in VALUES.items() if not (named and "large BLOB" in name)}
    v.execute("BEGIN")
    for value in values.values():
        given = {"value": value} if named else (value,) * len(TYPES)
        v.execute(insert, given)
        local.execute(insert, given)
    v.commit()
    wanted = local.execute("SELECT * FROM v ORDER BY rowid").fetchall()
    assert stored(running_cluster) == [repr(wanted)] * 3
    for node in running_cluster.nodes:
        with closing(open_cluster(Address((f"{HOST}:{node.port}",)), "none")) as one:
            assert repr(one.execute("SELECT * FROM v ORDER BY rowid").fetchall()) == repr(wanted)
    for name, row in zip(values, wanted, strict=True):
        found = v.execute("SELECT count(*) FROM v WHERE c6 IS ?", (row[6],))
        assert found.fetchone()[0] >= 1, name


def test_text_that_is_not_utf8_is_read_with_surrogates(
    v: ClusterConnection, running_cluster: Cluster
) -> None:
    v.execute(
        "INSERT INTO v (c0, c6) VALUES (CAST(? AS TEXT), CAST(? AS TEXT))", (b"a\xff", b"\0\xe4")
    )
    assert v.execute("SELECT c0, c6 FROM v").fetchall() == [("a\udcff", "\0\udce4")]
    assert running_cluster.rows("SELECT c0, c6 FROM v") == [("a\udcff", "\0\udce4")]


whole = st.integers(-(2**63), 2**63 - 1)
anything = st.none() | whole | st.floats() | st.binary() | st.text(st.characters(codec="utf-8"))


@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=20))
def test_any_value(conn: ClusterConnection, rows: Rows) -> None:
    conn.execute("DELETE FROM v")
    with closing(sqlite3.connect(":memory:")) as local:
        local.execute(TABLE)
        # A column of TEXT would show how two versions of SQLite print a float.
        for connection in (local, conn):
            with connection:
                connection.execute("BEGIN")
                connection.executemany("INSERT INTO v (c4, c6) VALUES (?, :b)", rows)
        query = "SELECT c4, c6, typeof(c4) FROM v ORDER BY rowid"
        assert repr(conn.execute(query).fetchall()) == repr(local.execute(query).fetchall())


class Colour(str, Enum):
    RED = "red"


MARKS: dict[str, tuple[str, Any]] = {
    "a negative number after a minus": ("SELECT 1 -? FROM v WHERE c0 <> ?", (-5, 2)),
    "a negative float after a minus": ("SELECT 1 -?\n FROM v", (-1.5,)),
    "no blank before": ("SELECT? FROM v", (1,)),
    "no blank after": ("SELECT c0 FROM v LIMIT ?OFFSET ?", (1, 0)),
    "numbers": ("SELECT ?2, ?1, ?2 FROM v", ("a", "b")),
    "numbers and none": ("SELECT ?2, ?, ?1 FROM v", (1, 2, 3)),
    "twice the same name": ("SELECT :a || $a || @b FROM v", {"a": "x", "b": "y", "c": 0}),
    "marks in strings": ("SELECT '?', \"?\", ':a', ? FROM v -- ?", ("?",)),
    "marks in comments": ("SELECT /* ? :a */ ? FROM v", (1,)),
    "text that is code": ("SELECT ? FROM v", ("'); DROP TABLE v; --",)),
    "a kind of text": ("SELECT ? FROM v", (Colour.RED,)),
    "none": ("SELECT c0 FROM v", ()),
}


@pytest.mark.parametrize("case", MARKS)
def test_parameters_mean_what_they_mean_in_a_file(
    case: str, v: ClusterConnection, local: sqlite3.Connection
) -> None:
    query, given = MARKS[case]
    found = []
    for connection in (v, local):
        connection.execute("INSERT INTO v (c0) VALUES ('a')")
        found.append(connection.execute(query, given).fetchall())
    assert found[0] == found[1]


def test_a_negative_number_leaves_the_condition(v: ClusterConnection) -> None:
    v.execute("INSERT INTO v (c1) VALUES (1), (2)")
    v.execute("UPDATE v SET c1 = c1 -? WHERE c1 = ?", (-5, 1))
    assert v.execute("SELECT c1 FROM v").fetchall() == [(6,), (2,)]


REFUSED: dict[str, tuple[str, Any]] = {
    "too few": ("INSERT INTO v (c0, c1) VALUES (?, ?)", (1,)),
    "too many": ("INSERT INTO v (c0, c1) VALUES (?, ?)", (1, 2, 3)),
    "none": ("INSERT INTO v (c0) VALUES (?)", ()),
    "a number too high": ("INSERT INTO v (c0) VALUES (?2)", (1,)),
    "a name that is missing": ("INSERT INTO v (c0) VALUES (:a)", {"b": 1}),
    "no name": ("INSERT INTO v (c0) VALUES (?)", {"a": 1}),
    "too large": ("INSERT INTO v (c0) VALUES (?)", (2**63,)),
    "not a value": ("INSERT INTO v (c0) VALUES (?)", ([1],)),
    "a surrogate": ("INSERT INTO v (c0) VALUES (?)", ("\ud800",)),
    "a byte that is not UTF-8": ("INSERT INTO v (c0) VALUES (?)", ("\udcff",)),
    "two statements": ("DELETE FROM v; DELETE FROM v", ()),
    "no such table": ("SELECT * FROM nobody", ()),
    "no statement": ("selec 1", ()),
}


@pytest.mark.parametrize("case", REFUSED)
def test_raises_what_sqlite3_raises(
    case: str, v: ClusterConnection, local: sqlite3.Connection
) -> None:
    statement, given = REFUSED[case]
    v.execute("INSERT INTO v (c0) VALUES (?)", ("known",))
    v.execute("INSERT INTO v (c0, c1) VALUES (?, ?)", ("known", 1))
    with pytest.raises((sqlite3.Error, sqlite3.Warning, ValueError, OverflowError)) as error:
        local.execute(statement, given)
    # Python 3.10 calls a value that it does not know an InterfaceError.
    is_other = error.type is sqlite3.InterfaceError
    wanted = sqlite3.ProgrammingError if is_other else error.type
    for _ in range(2):  # the second time, the statement is known
        with pytest.raises(wanted):
            v.execute(statement, given)
    assert v.execute("SELECT count(*) FROM v").fetchone() == (2,)


def test_columns_by_name_and_by_place(v: ClusterConnection) -> None:
    v.execute("INSERT INTO v (c0, c1) VALUES ('a', 1)")
    query = 'SELECT c0, c1 AS "a \'b\' ""c""", c0, 1 + 1 FROM v'
    cursor = v.execute(query)
    names = ["c0", "a 'b' \"c\"", "c0", "1 + 1"]
    assert [column[0] for column in cursor.description] == names
    assert cursor.fetchall() == [("a", 1, "a", 2)]
    v.row_factory = sqlite3.Row
    (row,) = v.execute(query)
    assert (row.keys(), row["C0"], row[names[1]], tuple(row)) == (names, "a", 1, ("a", 1, "a", 2))
    v.row_factory = lambda _, row: list(row)
    assert v.execute("SELECT c0 FROM v").fetchone() == ["a"]


def test_rows_one_by_one_and_many(v: ClusterConnection) -> None:
    everything = [(number, number / 2) for number in range(1, 2001)]
    assert v.execute("SELECT * FROM many").fetchall() == everything
    one, other = v.execute("SELECT * FROM many"), v.execute("SELECT n FROM many ORDER BY n DESC")
    assert (one.fetchone(), other.fetchone()) == ((1, 0.5), (2000,))
    assert (one.fetchmany(2), other.fetchmany(1)) == ([(2, 1.0), (3, 1.5)], [(1999,)])
    assert next(one) == (4, 2.0)
    assert len([*one]) == 1996
    assert one.fetchone() is None
    assert other.fetchone() == (1998,)
    for (number,) in v.execute("SELECT n FROM many WHERE n < 4"):
        assert v.execute("SELECT half FROM many WHERE n = ?", (number,)).fetchone() == (number / 2,)


def test_no_rows(v: ClusterConnection) -> None:
    cursor = v.execute("SELECT c0, c1 FROM v")
    assert (cursor.fetchone(), cursor.fetchall(), len(cursor.description)) == (None, [], 2)
    assert v.execute("SELECT count(*) FROM v").fetchall() == [(0,)]


def test_a_cursor_forgets_the_result_before(v: ClusterConnection) -> None:
    cursor = v.execute("SELECT n FROM many")
    cursor.fetchone()
    cursor.execute("INSERT INTO v (c0) VALUES (1), (2)")
    assert (cursor.description, cursor.fetchall(), cursor.rowcount) == (None, [], 2)
    assert cursor.lastrowid
    cursor.execute("UPDATE v SET c0 = 3")
    assert cursor.rowcount == 2


def test_a_table_of_any_name(v: ClusterConnection) -> None:
    v.execute("INSERT INTO q VALUES (1, 2)")
    with v:
        v.execute("BEGIN")
        assert v.execute("SELECT * FROM q").fetchall() == [(1, 2)]
        v.execute("DELETE FROM q")
    assert v.execute("SELECT * FROM q").fetchall() == []
