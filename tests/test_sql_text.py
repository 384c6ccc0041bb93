"""Files are split into statements, and expressions brought to a normal form to compare."""

import pytest

from abathur_schema.schema import text as sql_text

SAME = [
    ("a>=0", "A >= 0"),
    ("(a >= 0)", "a >= 0"),
    ("((a) >= 0)", "(a)>=0"),
    ('"a" >= 0', "[a] >= 0"),
    ("a >= 0 -- why", "a /* what */ >= 0"),
    ("status IN ('x','y')", "STATUS in ( 'x', 'y' )"),
    ("json_valid(`events`)", "JSON_VALID(events)"),
]
DIFFERENT = [
    ("a >= 0", "a > 0"),
    ("status = 'x'", "status = 'X'"),
    ("status = 'x'", "status = x"),
    ("a = 'it''s'", "a = 'its'"),
    ("a IS NOT NULL", 'a IS NOT "NULL"'),
    ("(a) OR (b)", "a) OR (b"),
    ('"a b" = 1', "a b = 1"),
    ("a = '-- no comment'", "a = ''"),
    ("ab = 1", "a b = 1"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_normal_form_is_the_same(one: str, other: str) -> None:
    assert sql_text.normal(one) == sql_text.normal(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_normal_form_differs(one: str, other: str) -> None:
    assert sql_text.normal(one) != sql_text.normal(other)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE INDEX i ON t(a)", ""),
        ("CREATE INDEX i ON t(a) WHERE a IS NOT NULL", "a is not null"),
        ("CREATE INDEX i ON t(a)where(b=1)", "b = 1"),
        ('CREATE INDEX "where" ON t(a)', ""),
        ("CREATE INDEX i ON t(a, (SELECT 1 WHERE 1))", ""),
        ("CREATE INDEX i ON t(a) /* WHERE c */ WHERE b = 'where'", "b = 'where'"),
    ],
)
def test_where_of_index(sql: str, expected: str) -> None:
    assert sql_text.where_of_index(sql) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("-- only; a comment\n", []),
        ("SELECT 1; SELECT 2;", ["SELECT 1;", "SELECT 2;"]),
        ("-- a; b\nSELECT ';'; -- after\n", ["-- a; b\nSELECT ';';"]),
        ("SELECT 1;  -- one; a -- number\nSELECT 2;", ["SELECT 1;", "SELECT 2;"]),
        ("SELECT '; -- ';SELECT 2; SELECT 3;", ["SELECT '; -- ';", "SELECT 2;", "SELECT 3;"]),
        (
            "CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; SELECT 2; END; SELECT 3;",
            [
                "CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; SELECT 2; END;",
                "SELECT 3;",
            ],
        ),
    ],
)
def test_statements(text: str, expected: list[str]) -> None:
    assert list(sql_text.statements(text)) == expected


def test_statement_without_semicolon_is_an_error() -> None:
    with pytest.raises(ValueError, match="no semicolon ends the statement 'SELECT 2'"):
        list(sql_text.statements("SELECT 1; SELECT 2"))
