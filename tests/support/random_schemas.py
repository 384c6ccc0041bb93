"""Hypothesis strategies for random older databases, as the SQL statements that create them.

Statements need not be legal: those that SQLite refuses are skipped. SQLite itself thus sets the
limits, and anything it accepts can occur.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from abathur_schema.declared.declaration import declared
from tests.support.random_tables import MUTATIONS, Older, name_in, written
from tests.support.spellings import COLLATIONS, EXPRESSIONS, TYPES, VALUES

SCHEMA = declared().schema
TABLES = tuple(table.name for table in SCHEMA.tables.values())

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
"""The value of a column in an ordinary row; columns not listed get an id or a JSON text."""


def _rows(draw: DrawFn, table: Older) -> list[str]:
    """Return INSERT statements for ordinary rows with some odd values."""
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
    if alike and draw(st.integers(0, 2)) == 0:  # one that repeats a declared index
        index = draw(st.sampled_from(alike))
        columns = ", ".join(f'"{column.name}"' for column in index.columns)
        where = f" WHERE {index.where}" if index.where else ""
        unique = draw(st.sampled_from(("", "UNIQUE ")))
        return f"CREATE {unique}INDEX {name} ON {table.name}({columns}){where}"
    endings = ("", "", " DESC", " COLLATE NOCASE", " COLLATE binary ASC")
    parts = [
        name_in(draw, table) + draw(st.sampled_from(endings))
        if draw(st.integers(0, 4))
        else draw(st.sampled_from(EXPRESSIONS)).format(name_in(draw, table))
        for _ in range(draw(st.integers(1, 2)))
    ]
    where = draw(st.sampled_from(("", "", " WHERE {} IS NOT NULL", " WHERE {} > 'a, (b'")))
    unique = draw(st.sampled_from(("", "", "UNIQUE ")))
    where = where.format(name_in(draw, table))
    return f"CREATE {unique}INDEX {name} ON {table.name} ({', '.join(parts)}){where}"


def _beside(draw: DrawFn, tables: dict[str, Older]) -> str:
    """Return SQL for an application's own view, trigger, table or counter, or drift by ALTER."""
    table = tables[draw(st.sampled_from(sorted(tables)))]
    name, other = table.name, name_in(draw, table)
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
    return written(draw, table)


@st.composite
def indexes(draw: DrawFn) -> str:
    """One CREATE INDEX statement on a declared table."""
    return _index(draw, {name: Older.of(SCHEMA.tables[name]) for name in TABLES})


@st.composite
def references(draw: DrawFn) -> list[str]:
    """Statements that create two tables, one referencing the other, whose values may or may not be
    equal to SQLite, and may or may not be identical.
    """
    types, collations = st.sampled_from(TYPES), st.sampled_from(("", *COLLATIONS))
    key = draw(st.sampled_from(("PRIMARY KEY", "UNIQUE", "PRIMARY KEY DESC", "", "NOT NULL")))
    collate = [
        f" COLLATE {name}" if name else "" for name in draw(st.tuples(collations, collations))
    ]
    # The parent may have columns of any name; "value" holds the same values as the key.
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
    """The statements that create a database as an application may have left it."""
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
            statements.append(written(draw, table))
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
    """Create a database from the statements that SQLite accepts, with foreign keys off."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            with suppress(sqlite3.Error):
                connection.execute(statement).fetchall()
        yield connection
