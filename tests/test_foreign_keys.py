"""Our quick check passes a foreign key only where SQLite's own check finds nothing."""

import sqlite3
from contextlib import closing

import pytest

from abathur_schema.schema.reading import read_schema
from abathur_schema.storage.foreign_keys import all_hold

HELD = {
    "a column of the parent is called as the child's": (
        "CREATE TABLE p(p TEXT PRIMARY KEY, c TEXT); CREATE TABLE c(c TEXT REFERENCES p, p TEXT);"
        "INSERT INTO p VALUES('1', '2'); INSERT INTO c VALUES('1', '2')"
    ),
    "the parent is generated": (
        "CREATE TABLE p(a, x TEXT AS (a||'') UNIQUE); CREATE TABLE c(x TEXT REFERENCES p(x));"
        "INSERT INTO p(a) VALUES(1); INSERT INTO c VALUES('1')"
    ),
    "other letter case": (
        "CREATE TABLE P(X TEXT PRIMARY KEY); CREATE TABLE c(x TEXT REFERENCES p(x));"
        "INSERT INTO p VALUES('1'); INSERT INTO c VALUES('1'), (NULL)"
    ),
    "the parent's key is the rowid": (
        "CREATE TABLE p(x INTEGER PRIMARY KEY); CREATE TABLE c(x TEXT REFERENCES p);"
        "INSERT INTO p VALUES(1); INSERT INTO c VALUES('1')"
    ),
}

CHILD = "CREATE TABLE c(x TEXT REFERENCES p(x)); INSERT INTO c VALUES('a');"
NOT_HELD = {
    "a number that is text to the parent": (
        "CREATE TABLE p(x TEXT UNIQUE); CREATE TABLE c(x ANY REFERENCES p(x)) STRICT;"
        "INSERT INTO p VALUES('1'); INSERT INTO c VALUES(1), (1.0)"
    ),
    "numbers under a type that was changed": (
        "CREATE TABLE p(x TEXT UNIQUE); CREATE TABLE c(x BLOB REFERENCES p(x));"
        "INSERT INTO p VALUES('1'); INSERT INTO c VALUES(1), (1.0); PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = replace(sql, 'BLOB', 'NUMERIC') WHERE name = 'c';"
        "PRAGMA writable_schema = RESET"
    ),
    "a letter that only Python makes a capital I": (
        'CREATE TABLE p(x TEXT UNIQUE); CREATE TABLE c(x "\u0131nt blob" REFERENCES p(x));'
        "INSERT INTO p VALUES('1'); INSERT INTO c VALUES(1), (1.0)"
    ),
    "rowid by its name": (
        "CREATE TABLE p(x TEXT PRIMARY KEY); CREATE TABLE c(x TEXT REFERENCES p(rowid));"
        "INSERT INTO p VALUES('a'); INSERT INTO c VALUES('a')"
    ),
    "a column called rowid": (
        "CREATE TABLE p(rowid TEXT UNIQUE); CREATE TABLE c(x TEXT REFERENCES p);"
        "INSERT INTO p VALUES('a'); INSERT INTO c VALUES('a')"
    ),
    "a collation of a column with a capital umlaut": (
        'CREATE TABLE p("Ä" TEXT COLLATE NOCASE); CREATE UNIQUE INDEX i ON p("Ä" COLLATE BINARY);'
        'CREATE TABLE c(x TEXT REFERENCES p("Ä"));'
        "INSERT INTO p VALUES('A'); INSERT INTO c VALUES('a')"
    ),
    "a collation after a type that ends in ALWAYS": (
        "CREATE TABLE p(x TEXT ALWAYS COLLATE NOCASE);"
        f"CREATE UNIQUE INDEX i ON p(x COLLATE BINARY); {CHILD} INSERT INTO p VALUES('a')"
    ),
    "an index on an expression that sounds like the column": (
        'CREATE TABLE p("an expression" TEXT); CREATE UNIQUE INDEX i ON p(lower("an expression"));'
        'CREATE TABLE c(x TEXT REFERENCES p("an expression"));'
        "INSERT INTO p VALUES('a'); INSERT INTO c VALUES('a')"
    ),
    "an index of another collation that sounds like the column": (
        'CREATE TABLE p(a, "a collate nocase" TEXT); CREATE UNIQUE INDEX i ON p(a COLLATE NOCASE);'
        'CREATE TABLE c(x TEXT REFERENCES p("a collate nocase"));'
        "INSERT INTO p VALUES('a', 'a'); INSERT INTO c VALUES('a')"
    ),
    "an index on some rows only": (
        f"CREATE TABLE p(x TEXT); CREATE UNIQUE INDEX i ON p(x)/**/WHERE/**/x>0; {CHILD}"
        "INSERT INTO p VALUES('a')"
    ),
    "a parent that is a view": f"CREATE VIEW p AS SELECT 'a' AS x; {CHILD}",
    "no parent": CHILD,
    "the bytes of a text": (
        f"CREATE TABLE p(x TEXT UNIQUE); {CHILD} INSERT INTO p VALUES('a');"
        "INSERT INTO c VALUES(x'61')"
    ),
}


def holds(statements: str) -> tuple[bool, bool]:
    """Whether our quick check passes all foreign keys, and whether SQLite finds nothing."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(statements)
        live = read_schema(connection)
        seen = all(all_hold(connection, live, table) for table in live.tables.values())
        try:
            return seen, not connection.execute("PRAGMA foreign_key_check").fetchall()
        except sqlite3.OperationalError:
            return seen, False


@pytest.mark.parametrize("statements", HELD.values(), ids=HELD)
def test_key_that_holds_is_seen_to(statements: str) -> None:
    assert holds(statements) == (True, True)


@pytest.mark.parametrize("statements", NOT_HELD.values(), ids=NOT_HELD)
def test_key_that_does_not_hold_is_not_seen_to(statements: str) -> None:
    assert holds(statements) == (False, False)
