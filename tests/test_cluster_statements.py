"""What a statement on a cluster does, and that it would do the same on every node."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest

from abathur_schema.errors import BatchError
from abathur_schema.storage.deeds import Deeds, deeds_in
from abathur_schema.storage.deterministic import at_one_time, same_everywhere
from abathur_schema.storage.exact_values import filled

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901)
SECOND = "'2026-01-02 03:04:05'"
MOMENT = "'2026-01-02 03:04:05.678'"

FILLED: dict[str, tuple[str, Any, str]] = {
    "no marks": ("SELECT 1", (), "SELECT 1"),
    "by place": ("VALUES (?,?)", (1, "a'b"), "VALUES ( 1 , 'a''b' )"),
    "by name": ("VALUES (:a,@b,$a)", {"a": None, "b": 1.5}, "VALUES ( NULL , 1.5 , NULL )"),
    "a BLOB": ("SELECT ?", (b"\0",), "SELECT  x'00'"),
    "U+0000": ("SELECT ?", ("a\0",), "SELECT  CAST(x'6100' AS TEXT)"),
    "no comment begins": ("SELECT 1-?\n", (-5,), "SELECT 1- -5"),
    "a semicolon at the end": ("SELECT 1 ; ", (), "SELECT 1"),
    "a comment after it": ("SELECT 1; -- c", (), "SELECT 1"),
    "more of them": ("SELECT 1;/* c */;\n;--", (), "SELECT 1"),
    "a comment that does not end": ("SELECT 1 /* c", (), "SELECT 1"),
    "a comment that is no end": ("SELECT /* ? */ 1", (), "SELECT /* ? */ 1"),
    "a comment in a string": ("SELECT '; -- c'", (), "SELECT '; -- c'"),
    "only a comment": ("-- c", (), ""),
    "nothing": (" ; ", (), ""),
}


@pytest.mark.parametrize("case", FILLED)
def test_filled(case: str) -> None:
    statement, given, wanted = FILLED[case]
    assert filled(statement, given) == wanted


AT_ONE_TIME = {
    "SELECT 1": "SELECT 1",
    "INSERT INTO o VALUES (CURRENT_TIMESTAMP)": f"INSERT INTO o VALUES ({SECOND})",
    "UPDATE o SET a = current_date, b = Current_Time": (
        "UPDATE o SET a = '2026-01-02', b = '03:04:05'"
    ),
    "SELECT strftime('%s', 'now')": f"SELECT strftime('%s', {MOMENT})",
    "SELECT datetime('NOW', '-1 day')": f"SELECT datetime({MOMENT}, '-1 day')",
    'SELECT datetime("now")': f"SELECT datetime({MOMENT})",
    "SELECT date(coalesce(?, 'now'))": f"SELECT date(coalesce(?, {MOMENT}))",
    "SELECT datetime(), unixepoch( )": f"SELECT datetime({MOMENT}), unixepoch( {MOMENT})",
    "SELECT strftime('%s')": f"SELECT strftime('%s', {MOMENT})",
    "SELECT strftime('%s', a, 'utc ')": "SELECT strftime('%s', a, 'utc ')",
    "SELECT date(a), 'now'": "SELECT date(a), 'now'",
    "SELECT max('now'), \"date\" ('now')": "SELECT max('now'), \"date\" ('now')",
    "SELECT 'CURRENT_TIMESTAMP', \"current_date\", x.a": (
        "SELECT 'CURRENT_TIMESTAMP', \"current_date\", x.a"
    ),
    "INSERT INTO t (a) VALUES (1)": f'INSERT INTO t (a, "at", "day") VALUES (1, {SECOND}, 1)',
    "insert into t(a) values (1), ((2)), (')');": (
        f'insert into t(a, "at", "day") values'
        f" (1, {SECOND}, 1), ((2), {SECOND}, 1), (')', {SECOND}, 1);"
    ),
    "INSERT INTO t (a) VALUES (1), (2)": (
        f'INSERT INTO t (a, "at", "day") VALUES (1, {SECOND}, 1), (2, {SECOND}, 1)'
    ),
    "INSERT INTO t (a, AT) VALUES (1, 2)": 'INSERT INTO t (a, AT, "day") VALUES (1, 2, 1)',
    'INSERT INTO t (a, "At", [DAY]) VALUES (1, 2, 3)': (
        'INSERT INTO t (a, "At", [DAY]) VALUES (1, 2, 3)'
    ),
    'INSERT INTO main."t" (at) VALUES (1)': 'INSERT INTO main."t" (at, "day") VALUES (1, 1)',
    "INSERT OR REPLACE INTO T (at) VALUES (1)": (
        'INSERT OR REPLACE INTO T (at, "day") VALUES (1, 1)'
    ),
    "REPLACE INTO t (at) VALUES (1)": 'REPLACE INTO t (at, "day") VALUES (1, 1)',
    "INSERT INTO t (at) VALUES (1) ON CONFLICT (at) DO UPDATE SET at = CURRENT_TIMESTAMP": (
        f'INSERT INTO t (at, "day") VALUES (1, 1) ON CONFLICT (at) DO UPDATE SET at = {SECOND}'
    ),
    "INSERT INTO t VALUES (1, 2, 3)": "INSERT INTO t VALUES (1, 2, 3)",
    "INSERT INTO t (a) SELECT 1": "INSERT INTO t (a) SELECT 1",
    "INSERT INTO t DEFAULT VALUES": "INSERT INTO t DEFAULT VALUES",
    "INSERT INTO u (a) VALUES (1)": "INSERT INTO u (a) VALUES (1)",
}


def clocked(table: str) -> Mapping[str, str]:
    return {"at": SECOND, "day": "1"} if table.lower() == "t" else {}


@pytest.mark.parametrize("statement", AT_ONE_TIME)
def test_at_one_time(statement: str) -> None:
    assert at_one_time(statement, NOW, clocked) == AT_ONE_TIME[statement]


TABLES = (
    "CREATE TABLE plain (a, b)",
    "CREATE TABLE clocked (a, b DEFAULT CURRENT_TIMESTAMP, c DEFAULT (datetime('now')),"
    " d DEFAULT CURRENT_DATE, e DEFAULT (strftime('%s')), f DEFAULT 'now')",
    "CREATE TABLE numbered (a, b DEFAULT (random()))",
    "CREATE TABLE looked_after (a, b)",
    "CREATE TRIGGER clock AFTER UPDATE ON looked_after BEGIN"
    " UPDATE looked_after SET b = datetime('now') WHERE rowid = new.rowid; END",
    "CREATE TRIGGER day AFTER DELETE ON looked_after BEGIN"
    " INSERT INTO plain VALUES (unixepoch(), 1); END",
    "CREATE TRIGGER stamp AFTER INSERT ON looked_after BEGIN"
    " INSERT INTO clocked (a) VALUES (new.a); END",
    "CREATE VIEW today AS SELECT a FROM plain WHERE b > date('now')",
)

EQUAL = {
    "INSERT INTO clocked (a) VALUES (1)": (
        'INSERT INTO clocked (a, "b", "c", "d", "e") VALUES'
        f" (1, ({SECOND}), (datetime({MOMENT})), ('2026-01-02'), (strftime('%s', {MOMENT})))"
    ),
    "INSERT INTO plain VALUES ('now', date(CURRENT_TIMESTAMP))": (
        f"INSERT INTO plain VALUES ('now', date({SECOND}))"
    ),
    "CREATE TABLE x (a DEFAULT 1)": "CREATE TABLE x (a DEFAULT 1)",
    "UPDATE plain SET a = date(b, '+1 day')": "UPDATE plain SET a = date(b, '+1 day')",
}


@pytest.fixture
def tables() -> Iterator[sqlite3.Connection]:
    """A copy of a schema whose tables and triggers use the clock."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in TABLES:
            if "unixepoch" not in statement or sqlite3.sqlite_version_info >= (3, 38):
                connection.execute(statement)
        yield connection


@pytest.mark.parametrize("statement", EQUAL)
def test_same_everywhere(statement: str, tables: sqlite3.Connection) -> None:
    assert same_everywhere(tables.execute, statement, NOW) == EQUAL[statement]


UNEQUAL = {
    "INSERT INTO clocked (a) SELECT 1": "CURRENT_TIMESTAMP|DATETIME|CURRENT_DATE",
    "INSERT INTO clocked DEFAULT VALUES": "CURRENT_TIMESTAMP|DATETIME|CURRENT_DATE",
    "WITH x AS (SELECT 1) INSERT INTO clocked (a) SELECT * FROM x": "CURRENT_TIMESTAMP|DATETIME",
    "INSERT INTO plain VALUES (random(), 1)": "RANDOM",
    "UPDATE plain SET a = hex(RandomBlob(4))": "RANDOMBLOB",
    "DELETE FROM plain WHERE a = abs(random())": "RANDOM",
    "INSERT INTO numbered (a) VALUES (1)": "RANDOM",
    "INSERT INTO looked_after VALUES (1, 2)": "CURRENT_TIMESTAMP|DATETIME|CURRENT_DATE",
    "UPDATE looked_after SET a = 1": "DATETIME",
    "DELETE FROM looked_after": "UNIXEPOCH",
    "INSERT INTO plain SELECT a, 1 FROM today": "DATE",
    "INSERT INTO plain VALUES (datetime(CURRENT_TIMESTAMP, 'localtime'), 1)": "localtime",
    "UPDATE plain SET a = datetime(b, 'UTC')": "utc",
}


@pytest.mark.parametrize("statement", UNEQUAL)
def test_what_nodes_would_do_differently_is_refused(
    statement: str, tables: sqlite3.Connection
) -> None:
    if "UNIXEPOCH" in UNEQUAL[statement] and sqlite3.sqlite_version_info < (3, 38):
        pytest.skip("this SQLite has no unixepoch()")
    with pytest.raises(BatchError, match=f"(?:{UNEQUAL[statement]}).* would give another value"):
        same_everywhere(tables.execute, statement, NOW)


READS, WRITES, DEFINES, NOTHING = (
    Deeds(reads=True, writes=False, defines=False),
    Deeds(reads=False, writes=True, defines=False),
    Deeds(reads=False, writes=True, defines=True),
    Deeds(reads=False, writes=False, defines=False),
)
DEEDS = {
    "SELECT 1": NOTHING,
    "SELECT a FROM t": READS,
    "SELECT count(*) FROM t": READS,
    "WITH x AS (SELECT a FROM t) SELECT * FROM x": READS,
    "VALUES (1), ((SELECT a FROM t))": READS,
    "SELECT * FROM v": READS,
    "SELECT name FROM sqlite_schema": NOTHING,
    "SELECT * FROM pragma_table_info('t')": NOTHING,
    "SELECT * FROM pragma_table_info('t') JOIN t": READS,
    "SELECT * FROM pragma_foreign_key_check": READS,
    "SELECT * FROM pragma_integrity_check": READS,
    "INSERT INTO t VALUES (1, 2)": WRITES,
    "INSERT INTO t SELECT * FROM t": WRITES._replace(reads=True),
    "INSERT INTO t SELECT name, 1 FROM pragma_table_info('t')": WRITES._replace(reads=True),
    "UPDATE t SET a = 1": WRITES,
    "DELETE FROM t WHERE a = 1": WRITES._replace(reads=True),
    "WITH x AS (SELECT 1 AS a) DELETE FROM t WHERE b IN (SELECT a FROM x)": (
        WRITES._replace(reads=True)
    ),
    "REPLACE INTO t VALUES (1, 2)": WRITES,
    "REINDEX": WRITES,
    "CREATE TABLE x (a)": DEFINES,
    "CREATE TABLE x AS SELECT * FROM t": DEFINES._replace(reads=True),
    "CREATE TABLE x AS SELECT * FROM pragma_table_info('t')": DEFINES._replace(reads=True),
    "CREATE INDEX x ON t (b)": DEFINES,
    "CREATE VIEW x AS SELECT * FROM t": DEFINES,
    "CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t; END": DEFINES,
    "DROP TABLE t": DEFINES,
    "ALTER TABLE t ADD COLUMN c": DEFINES,
    "ALTER TABLE t RENAME TO x": DEFINES,
}


@pytest.mark.parametrize("statement", DEEDS)
def test_deeds(statement: str) -> None:
    seen: list[tuple[int, str]] = []

    def note(action: int, first: str | None, second: str | None, *_: object) -> int:
        seen.append((action, first or second or ""))
        return sqlite3.SQLITE_OK

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a UNIQUE, b)")
        connection.execute("CREATE VIEW v AS SELECT * FROM t")
        connection.set_authorizer(note)
        connection.execute(f"EXPLAIN {statement}")
    found, wanted = deeds_in(statement, seen), DEEDS[statement]
    assert (found.writes, found.defines) == (wanted.writes, wanted.defines)
    if not found.writes:  # a write is sent, whatever it reads
        assert found.reads == wanted.reads
