"""The parts of random tables: legal SQL that is easy to misread."""

TYPES = (
    *("", "TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC", "INT", "VARCHAR(80)", "DATETIME"),
    *("TIMESTAMP", "BOOLEAN", "DOUBLE PRECISION", "DECIMAL(10, 2)", '"a, (type"', "ANY", "CLOB"),
)
CONFLICTS = ("", " ON CONFLICT IGNORE", " ON CONFLICT REPLACE", " ON CONFLICT ABORT")
COLLATIONS = ("BINARY", "NOCASE", "RTRIM", '"nocase"')
DEFAULTS = (
    *("NULL", "0", "5", "-1.50", "+3", "'x'", "''", "'it''s, (odd'", "TRUE", "CURRENT_TIMESTAMP"),
    *("(1 + 2)", "(lower('A, (B'))", "x'00ff'", "9e999", '"text"', "text", "0x10", "1e3", "'{}'"),
)
ACTIONS = (
    *("", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE ON DELETE RESTRICT"),
    *(" ON DELETE SET DEFAULT", " DEFERRABLE INITIALLY DEFERRED", " NOT DEFERRABLE"),
    *(" MATCH FULL", " ON UPDATE NO ACTION DEFERRABLE"),
)
PARENTS = ("tasks(id)", "sessions(id)", "sessions", '"APP users" ("the id")', "gone(x)", "[tasks]")
NAMED = ("", "CONSTRAINT c1 ", 'CONSTRAINT "a (name, of" ', "CONSTRAINT [key] ", "CONSTRAINT 'n' ")
ODD_NAMES = (
    *("owner", '"order by"', "[naïve, (odd]", '`a"b`', "'single'", "key", "rowid", "_rowid_"),
    *('"check"', '"unique"', '"it\'s)"', "abort", "[a]", '"a""b"', "générée", "x$1", '"--"'),
)
EXPRESSIONS = (
    *("length({})", "{} IS NOT NULL", "{} <> ')'", "typeof({}) <> 'blob'", "{} IN (1, 'a, (b')"),
    *("{} > 0", "({}) IS NOT 7 /* not, (7 */", "coalesce({}, '--') <> '/*'", "{} COLLATE NOCASE"),
)
COMMENTS = ("", " /* a, (comment */", " -- so, (that\n", " /* 'open */", ' -- "quoted\n', "\t\n")

VALUES = (
    *("NULL", "0", "5", "-1", "1.5", "5.0", "-0.0", "1e300", "9e999", "9223372036854775807"),
    *("9007199254740993", "'5'", "'5.0'", "' 5'", "'5 '", "'05'", "'-5'", "'1e3'", "'0x10'", "'a'"),
    *(
        "'A'",
        "'a '",
        "''",
        "x''",
        "x'61'",
        "x'00ff'",
        "'9223372036854775808'",
        "'é' || char(128512)",
    ),
    *("'a' || char(0) || 'b'", "CAST(x'ff61' AS TEXT)", "'active'", "'{}'", "'not json'", "'NULL'"),
)
"""SQL expressions for values of every storage class, many of them equal but not identical."""
