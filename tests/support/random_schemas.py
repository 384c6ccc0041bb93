"""Random older databases, as hypothesis strategies: SQL statements that make one.

What comes of a draw need not be legal: SQLite refuses such a statement, and it is left out. So
the limits of SQLite are told by SQLite, and all that it takes can come.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from abathur_schema.declared.declaration import declared
from abathur_schema.schema.create_table import definitions
from abathur_schema.schema.model import Table

SCHEMA = declared().schema
TABLES = tuple(table.name for table in SCHEMA.tables.values())

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
"""SQL expressions of values of every storage class, many of them equal and not the same."""

USUAL = {
    "status": "'active'",
    "memory_type": "'episodic'",
    "sync_status": "'synced'",
    "iteration": "{}",
    "key": "'k{}'",
    "file_path": "'f{}'",
    "version": "{}",
    "priority": "5",
    "retry_count": "0",
    "max_retries": "3",
    "metric_value": "0.25",
    "is_deleted": "0",
    "chunk_count": "2",
    "memory_entry_id": "1",
    "parent_task_id": "NULL",
}
"""What a column has in an ordinary row; what is not here has an id, a JSON text or a time."""


@dataclass
class Column:
    """One column as it will be written; `name` is as written, quotes and all."""

    name: str
    type: str
    clauses: list[str]
    declared_name: str = ""

    def __str__(self) -> str:
        return " ".join([self.name, self.type, *self.clauses])


@dataclass
class Older:
    """One table as it will be written."""

    name: str
    columns: list[Column]
    constraints: list[str]
    options: list[str]

    @classmethod
    def of(cls, table: Table) -> "Older":
        """The declared form."""
        parts = definitions(table.sql)
        columns = [
            Column(
                one.column, table.columns[number].type, [c.text for c in one.clauses], one.column
            )
            for number, one in enumerate(parts)
            if one.column
        ]
        return cls(table.name, columns, [one.text for one in parts if not one.column], [])


def _column(draw: DrawFn, table: Older) -> Column:
    return draw(st.sampled_from(table.columns))


def _name(draw: DrawFn, table: Older) -> str:
    return _column(draw, table).name


def _drop_columns(draw: DrawFn, table: Older) -> None:
    at = draw(st.integers(0, len(table.columns) - 1))
    del table.columns[max(at, 1) : at + draw(st.integers(1, 4))]


def _move_column(draw: DrawFn, table: Older) -> None:
    column = _column(draw, table)
    table.columns.remove(column)
    table.columns.insert(draw(st.integers(0, len(table.columns))), column)


def _other_type(draw: DrawFn, table: Older) -> None:
    _column(draw, table).type = draw(st.sampled_from(TYPES))


def _drop_clause(draw: DrawFn, table: Older) -> None:
    if having := [column for column in table.columns if column.clauses]:
        column = draw(st.sampled_from(having))
        column.clauses.pop(draw(st.integers(0, len(column.clauses) - 1)))


def _drop_constraint(draw: DrawFn, table: Older) -> None:
    if table.constraints:
        table.constraints.pop(draw(st.integers(0, len(table.constraints) - 1)))


def _other_default(draw: DrawFn, table: Older) -> None:
    column = _column(draw, table)
    column.clauses = [text for text in column.clauses if not text.startswith("DEFAULT")]
    column.clauses.append(f"DEFAULT {draw(st.sampled_from(DEFAULTS))}")


def _clause(draw: DrawFn, name: str) -> str:
    clause: str = draw(
        st.one_of(
            st.sampled_from(CONFLICTS).map("NOT NULL{}".format),
            st.sampled_from(CONFLICTS).map("UNIQUE{}".format),
            st.sampled_from(COLLATIONS).map("COLLATE {}".format),
            st.sampled_from(EXPRESSIONS).map(lambda text: f"CHECK ({text.format(name)})"),
            _references(),
            st.just("NULL"),
        )
    )
    named: str = draw(st.sampled_from(NAMED))
    return named + clause


def _references() -> SearchStrategy[str]:
    pairs = st.tuples(st.sampled_from(PARENTS), st.sampled_from(ACTIONS))
    return pairs.map(lambda pair: f"REFERENCES {pair[0]}{pair[1]}")


def _add_clause(draw: DrawFn, table: Older) -> None:
    column = _column(draw, table)
    at = draw(st.integers(0, len(column.clauses)))
    column.clauses.insert(at, _clause(draw, column.name))


def _other_actions(draw: DrawFn, table: Older) -> None:
    for column in table.columns:
        for at, text in enumerate(column.clauses):
            if text.startswith("REFERENCES"):
                column.clauses[at] = text.partition(" ON ")[0] + draw(st.sampled_from(ACTIONS))
                return


def _add_constraint(draw: DrawFn, table: Older) -> None:
    one, other = _name(draw, table), _name(draw, table)
    collation = draw(st.sampled_from(("", *(f" COLLATE {name}" for name in COLLATIONS))))
    text = draw(
        st.one_of(
            st.sampled_from(CONFLICTS).map(f"UNIQUE ({one}{collation}, {other}){{}}".format),
            st.sampled_from(EXPRESSIONS).map(lambda text: f"CHECK ({text.format(one)})"),
            _references().map(f"FOREIGN KEY ({one}) {{}}".format),
            st.sampled_from(ACTIONS).map(
                f'FOREIGN KEY ({one}, {other}) REFERENCES state (task_id, "key"){{}}'.format
            ),
        )
    )
    at = draw(st.integers(0, len(table.constraints)))
    table.constraints.insert(at, draw(st.sampled_from(NAMED)) + text)


def _other_key(draw: DrawFn, table: Older) -> None:
    for column in table.columns:
        column.clauses = [text for text in column.clauses if not text.startswith("PRIMARY")]
    table.constraints = [text for text in table.constraints if not text.startswith("PRIMARY")]
    names = [table.columns[0].name]
    match draw(st.integers(0, 4)):
        case 0:
            return
        case 1:
            names.append(_name(draw, table))
        case 2:
            text = draw(st.sampled_from(("DESC", "ASC", "ON CONFLICT REPLACE", "NOT NULL")))
            table.columns[0].clauses.insert(0, f"PRIMARY KEY {text}")
            return
    conflict = draw(st.sampled_from(CONFLICTS))
    table.constraints.append(f"PRIMARY KEY ({', '.join(names)}){conflict}")


def _no_autoincrement(_: DrawFn, table: Older) -> None:
    for column in table.columns:
        column.clauses = [text.replace(" AUTOINCREMENT", "") for text in column.clauses]


def _option(draw: DrawFn, table: Older) -> None:
    table.options.append(draw(st.sampled_from(("WITHOUT ROWID", "STRICT"))))
    if "STRICT" in table.options:
        for column in table.columns:
            if column.type not in ("TEXT", "INTEGER", "REAL", "BLOB", "INT", "ANY"):
                column.type = "TEXT"
    elif table.options:
        _no_autoincrement(draw, table)


def _add_column(draw: DrawFn, table: Older) -> None:
    name, of = draw(st.sampled_from(ODD_NAMES)), _name(draw, table)
    clauses = draw(st.lists(st.integers(0, 2), max_size=3))
    texts = [
        f"DEFAULT {draw(st.sampled_from(DEFAULTS))}" if kind == 0 else _clause(draw, name)
        for kind in clauses
    ]
    generated = draw(st.sampled_from(("", "", "AS ({})", "GENERATED ALWAYS AS ({}) STORED")))
    if generated:
        texts.append(generated.format(draw(st.sampled_from(EXPRESSIONS)).format(of)))
    column = Column(name, draw(st.sampled_from(TYPES)), texts)
    table.columns.insert(draw(st.integers(0, len(table.columns))), column)


def _old_name(_: DrawFn, table: Older) -> None:
    for column in table.columns:
        if column.name == "prompt":
            column.name = "template_name"


MUTATIONS = (
    *(_drop_columns, _drop_columns, _move_column, _other_type, _other_type, _drop_clause),
    *(_drop_clause, _drop_constraint, _other_default, _add_clause, _add_clause, _other_actions),
    *(_add_constraint, _add_constraint, _other_key, _no_autoincrement, _option, _add_column),
    *(_add_column, _old_name),
)


def _written(draw: DrawFn, table: Older) -> str:
    """The CREATE TABLE statement, in one of many spellings."""
    quote = draw(st.sampled_from(("{}", "{}", '"{}"', "[{}]", "`{}`", "'{}'")))
    for column in table.columns:
        if column.name == column.declared_name:
            column.name = quote.format(column.name)
    comment = draw(st.sampled_from(COMMENTS))
    # SQLite asks for no comma between constraints of the table.
    comma = draw(st.sampled_from((",", ",", "")))
    constraints = f"{comma}{comment} ".join(table.constraints)
    parts = f",{comment} ".join([*map(str, table.columns), *filter(None, [constraints])])
    name = quote.format(table.name)
    return f"CREATE TABLE {name} ({comment}{parts}{comment}\n) {', '.join(table.options)}".strip()


def _rows(draw: DrawFn, table: Older) -> list[str]:
    """INSERT statements: ordinary rows, of which some values are odd."""
    count = draw(st.integers(0, 3))
    columns = [column for column in table.columns if " AS (" not in str(column)]
    if not count or not columns:
        return []
    cells = {
        (row, at): _usual(table.name, column.declared_name, row + 1)
        for row in range(count)
        for at, column in enumerate(columns)
    }
    odd = st.tuples(st.sampled_from(sorted(cells)), st.sampled_from(VALUES))
    cells.update(draw(st.lists(odd, max_size=4)))
    names = [column.name for column in columns]
    base = draw(st.sampled_from((0, 0, 7, -3, 2**40)))
    found = []
    for row in range(count):
        values = [cells[row, at] for at in range(len(columns))]
        if base and "WITHOUT ROWID" not in table.options and "rowid" not in names:
            names_here, values = ["rowid", *names], [str(base + 5 * row), *values]
        else:
            names_here = names
        found.append(
            f"INSERT INTO {table.name} ({', '.join(names_here)}) VALUES ({', '.join(values)})"
        )
    return found


def _usual(table: str, column: str, number: int) -> str:
    if not column:
        return "NULL"
    if column == "id":
        is_integer = SCHEMA.tables[table].column["id"].type == "INTEGER"
        return str(number) if is_integer else f"'{number}'"
    if column == "session_id":
        return "NULL"
    return USUAL.get(column, "'1'" if column.endswith("_id") else "'[{}]'").format(number)


def _index(draw: DrawFn, tables: dict[str, Older]) -> str:
    table = tables[draw(st.sampled_from(sorted(tables)))]
    known = [index.name for index in SCHEMA.indexes.values() if index.origin == "c"]
    alike = [index for index in SCHEMA.indexes.values() if index.table == table.name]
    name = draw(st.sampled_from(("own_1", "own_2", '"own; (3"', *known)))
    if alike and draw(st.integers(0, 2)) == 0:  # one that repeats what is declared
        index = draw(st.sampled_from(alike))
        columns = ", ".join(f'"{column.name}"' for column in index.columns)
        where = f" WHERE {index.where}" if index.where else ""
        unique = draw(st.sampled_from(("", "UNIQUE ")))
        return f"CREATE {unique}INDEX {name} ON {table.name}({columns}){where}"
    endings = ("", "", " DESC", " COLLATE NOCASE", " COLLATE binary ASC")
    parts = [
        _name(draw, table) + draw(st.sampled_from(endings))
        if draw(st.integers(0, 4))
        else draw(st.sampled_from(EXPRESSIONS)).format(_name(draw, table))
        for _ in range(draw(st.integers(1, 2)))
    ]
    where = draw(st.sampled_from(("", "", " WHERE {} IS NOT NULL", " WHERE {} > 'a, (b'")))
    unique = draw(st.sampled_from(("", "", "UNIQUE ")))
    where = where.format(_name(draw, table))
    return f"CREATE {unique}INDEX {name} ON {table.name} ({', '.join(parts)}){where}"


def _beside(draw: DrawFn, tables: dict[str, Older]) -> str:
    """A view, a trigger, a table or a counter of the application's own, or a drift by ALTER."""
    table = tables[draw(st.sampled_from(sorted(tables)))]
    name, other = table.name, _name(draw, table)
    return draw(
        st.sampled_from(
            (
                f"CREATE VIEW own_view AS SELECT * FROM {name}",
                f'CREATE VIEW "own (view" AS SELECT {other} AS a FROM {name} -- of {name}',
                f"CREATE VIEW own_indexed AS SELECT * FROM {name} INDEXED BY own_1",
                f"CREATE TRIGGER own_trigger AFTER INSERT ON {name} WHEN new.{other} IS NULL"
                f" BEGIN UPDATE {name} SET {other} = 'by; trigger' WHERE {other} IS NULL; END",
                f"CREATE TRIGGER [own; trigger] BEFORE DELETE ON {name} BEGIN"
                " SELECT raise(ABORT, 'no; END'); END",
                f"CREATE TRIGGER own_of AFTER UPDATE OF {other} ON {name} BEGIN"
                f" DELETE FROM {name} WHERE {other} = 1; END",
                f"CREATE TABLE own (id INTEGER PRIMARY KEY AUTOINCREMENT, a REFERENCES {name}"
                " ON DELETE CASCADE)",
                "INSERT INTO own (a) VALUES ('1')",
                "INSERT INTO own (a) VALUES (1)",
                f"CREATE TABLE new_{name} (a)",
                f"CREATE VIRTUAL TABLE own_search USING fts5(a, content={name})",
                f"UPDATE sqlite_sequence SET seq = 1000 WHERE name = '{name}'",
                f"UPDATE sqlite_sequence SET seq = NULL WHERE name = '{name}'",
                f"DELETE FROM sqlite_sequence WHERE name = '{name}'",
                f"INSERT INTO sqlite_sequence VALUES ('{name}', 50)",
                f"ALTER TABLE {name} DROP COLUMN {other}",
                f"ALTER TABLE {name} RENAME COLUMN {other} TO was_renamed",
                f"ALTER TABLE {name} ADD COLUMN by_alter VARCHAR(9) DEFAULT 'a, (b' -- last",
                "ANALYZE",
                "PRAGMA user_version = 7",
                "PRAGMA application_id = 9",
            )
        )
    )


@st.composite
def create_tables(draw: DrawFn) -> str:
    """One CREATE TABLE statement."""
    table = Older.of(SCHEMA.tables[draw(st.sampled_from(TABLES))])
    for mutate in draw(st.lists(st.sampled_from(MUTATIONS), max_size=6)):
        mutate(draw, table)
    return _written(draw, table)


@st.composite
def indexes(draw: DrawFn) -> str:
    """One CREATE INDEX statement on a table as declared."""
    return _index(draw, {name: Older.of(SCHEMA.tables[name]) for name in TABLES})


@st.composite
def references(draw: DrawFn) -> list[str]:
    """Statements that make two tables, one referencing the other, with values that are equal, and
    the same, or not.
    """
    types, collations = st.sampled_from(TYPES), st.sampled_from(("", *COLLATIONS))
    key = draw(st.sampled_from(("PRIMARY KEY", "UNIQUE", "PRIMARY KEY DESC", "", "NOT NULL")))
    collate = [
        f" COLLATE {name}" if name else "" for name in draw(st.tuples(collations, collations))
    ]
    # Whatever the columns of the parent are called; "value" may equal the key.
    parent = f"CREATE TABLE parent (other, k {draw(types)} {key}{collate[0]}, value)"
    index = draw(
        st.sampled_from(("", "(k)", "(k COLLATE NOCASE)", "(k) WHERE k > 0", "(k, other)"))
    )
    of = draw(st.sampled_from(("parent(k)", "Parent (K)", "parent", "gone(k)", "parent(gone)")))
    child = f"CREATE TABLE child (c {draw(types)} REFERENCES {of}{collate[1]}, own UNIQUE)"
    values = st.lists(st.sampled_from(VALUES), max_size=5)
    return [
        parent,
        child,
        *([f"CREATE UNIQUE INDEX i ON parent {index}"] if index else []),
        *(f"INSERT INTO parent (k, value) VALUES ({value}, {value})" for value in draw(values)),
        *(f"INSERT INTO child (c) VALUES ({value})" for value in draw(values)),
    ]


@st.composite
def older_databases(draw: DrawFn) -> list[str]:
    """The statements that make a database which an application may have left."""
    encoding = draw(st.sampled_from(("UTF-8", "UTF-8", "UTF-16le", "UTF-16be")))
    vacuum, page = draw(st.sampled_from((0, 0, 1, 2))), draw(st.sampled_from((4096, 512, 65536)))
    statements = [
        f"PRAGMA encoding = '{encoding}'",
        f"PRAGMA page_size = {page}",
        f"PRAGMA auto_vacuum = {vacuum}",
        'CREATE TABLE "APP users" ("the id" PRIMARY KEY, note)',
    ]
    mutated = draw(st.lists(st.sampled_from(TABLES), min_size=1, max_size=3, unique=True))
    missing = draw(st.sets(st.sampled_from(TABLES)))
    tables = {
        name: Older.of(SCHEMA.tables[name.lower()])
        for name in TABLES
        if name in mutated or name not in missing
    }
    rows = []
    for name, table in tables.items():
        if name in mutated:
            for mutate in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=5)):
                mutate(draw, table)
            statements.append(_written(draw, table))
        else:
            statements.append(SCHEMA.tables[name].sql)
        rows += _rows(draw, table)
    if draw(st.booleans()):
        names = [name for name, index in SCHEMA.indexes.items() if index.origin == "c"]
        statements += [SCHEMA.indexes[name].sql for name in names]
    indexes = [_index(draw, tables) for _ in range(draw(st.integers(0, 3)))]
    beside = [_beside(draw, tables) for _ in range(draw(st.integers(0, 3)))]
    return [*statements, *rows, *indexes, *beside]


@contextmanager
def made(statements: Iterable[str], path: Path | str = ":memory:") -> Iterator[sqlite3.Connection]:
    """A database by the statements that SQLite takes, foreign keys not enforced."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            with suppress(sqlite3.Error):
                connection.execute(statement).fetchall()
        yield connection
