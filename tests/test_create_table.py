"""The text of a CREATE TABLE is taken apart correctly."""

import sqlite3

import pytest

from abathur_schema.schema.clauses import collations, key_name
from abathur_schema.schema.create_table import body, definitions, plain
from abathur_schema.schema.reading import read_schema

CASES = {
    "a INT, b": [("a", []), ("b", [])],
    "[a b] VARCHAR(80) NOT NULL": [("a b", ["NOT NULL"])],
    '\'a\' TEXT, `b``c` TEXT, "d""e" TEXT': [("a", []), ("b`c", []), ('d"e', [])],
    "a TEXT -- one, two )\n, b /* ( */ INT": [("a", []), ("b", [])],
    "a DEFAULT 'x, )' CHECK (a IN (1, ')'))": [("a", ["DEFAULT 'x, )'", "CHECK (a IN (1, ')'))"])],
    "a DEFAULT NULL NULL UNIQUE": [("a", ["DEFAULT NULL", "NULL", "UNIQUE"])],
    "a DEFAULT -1 COLLATE nocase": [("a", ["DEFAULT -1", "COLLATE nocase"])],
    "a CONSTRAINT n CHECK (a) CONSTRAINT m NOT NULL": [
        ("a", ["CONSTRAINT n CHECK (a)", "CONSTRAINT m NOT NULL"])
    ],
    "a REFERENCES p ON DELETE SET NULL ON UPDATE SET DEFAULT NOT NULL": [
        ("a", ["REFERENCES p ON DELETE SET NULL ON UPDATE SET DEFAULT", "NOT NULL"])
    ],
    "a REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED DEFAULT 1": [
        ("a", ["REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED", "DEFAULT 1"])
    ],
    "a INT GENERATED ALWAYS AS (b, 2) STORED, c AS (b)": [
        ("a", ["GENERATED ALWAYS AS (b, 2) STORED"]),
        ("c", ["AS (b)"]),
    ],
    "a PRIMARY KEY ON CONFLICT IGNORE": [("a", ["PRIMARY KEY ON CONFLICT IGNORE"])],
    "a, UNIQUE (a) ON CONFLICT FAIL, PRIMARY KEY (a)": [
        ("a", []),
        ("", ["UNIQUE (a) ON CONFLICT FAIL"]),
        ("", ["PRIMARY KEY (a)"]),
    ],
    "a, CONSTRAINT k FOREIGN KEY (a) REFERENCES p (x) ON DELETE SET NULL": [
        ("a", []),
        ("", ["CONSTRAINT k FOREIGN KEY (a) REFERENCES p (x) ON DELETE SET NULL"]),
    ],
    "a, CONSTRAINT n UNIQUE (a) ON CONFLICT FAIL CHECK (a) CONSTRAINT m CHECK (a > 1)": [
        ("a", []),
        ("", ["CONSTRAINT n UNIQUE (a) ON CONFLICT FAIL"]),
        ("", ["CHECK (a)"]),
        ("", ["CONSTRAINT m CHECK (a > 1)"]),
    ],
    'primary_key TEXT, "check" TEXT': [("primary_key", []), ("check", [])],
}


@pytest.mark.parametrize("inside", CASES)
def test_definitions(inside: str) -> None:
    sql = f'CREATE TABLE "t (,"({inside}) STRICT'
    found = [(one.column, [clause.text for clause in one.clauses]) for one in definitions(sql)]
    assert found == CASES[inside]
    for one in definitions(sql):
        assert sql[one.start : one.end] == one.text
    start, end = body(sql)
    assert sql[start : end + 1] == f"({inside})"


def test_plain_is_one_line_without_comments() -> None:
    assert plain("  a  TEXT -- why\n   DEFAULT 'x  --  y' /* b */ ") == "a TEXT DEFAULT 'x  --  y'"


UNIQUES = (
    *("a UNIQUE", "a COLLATE nocase UNIQUE", "a UNIQUE COLLATE BINARY", "[A ,b] UNIQUE"),
    *("a, b, UNIQUE (a, b)", "a, b, UNIQUE (a, b COLLATE NOCASE)", "a, UNIQUE (a COLLATE BINARY)"),
    *("a COLLATE rtrim, UNIQUE ([A])", "a COLLATE rtrim, UNIQUE (a COLLATE 'BINARY' DESC)"),
    "a, CONSTRAINT '(' UNIQUE (/* ( */ (a) COLLATE nocase COLLATE rtrim ASC) ON CONFLICT FAIL",
    '"a""b", "collate" COLLATE nocase, UNIQUE ("a""b", "collate")',
)


@pytest.mark.parametrize("inside", UNIQUES)
def test_key_is_named_as_its_index(inside: str) -> None:
    sql = f"CREATE TABLE t ({inside})"
    connection = sqlite3.connect(":memory:")
    connection.execute(sql)
    (columns,) = read_schema(connection).uniques_of("t")
    connection.close()
    parts = definitions(sql)
    named = (key_name(one, clause, collations(parts)) for one in parts for clause in one.clauses)
    assert [*filter(None, named)] == [f"UNIQUE ({', '.join(columns)})"]
