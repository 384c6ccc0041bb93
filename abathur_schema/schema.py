"""What tables and indexes *are*, as values read back from SQLite; the same for declared and live.

Structure comes from SQLite's table-valued pragmas, foreign keys and CHECKs from sqlite-utils. Names
are compared as SQLite does, without letter case; mappings are keyed by the folded name.
"""

import sqlite3
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from sqlite_utils import Database
from sqlite_utils.db import ForeignKey

from .create_table import Reference, check_of, clauses_by_name, definitions, unqualified
from .errors import HidingNameError
from .sql_text import fold, literal, normal, tokens, unquoted, where_of_index

_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
"""Letters as SQLite changes their case; Python changes more than those of ASCII."""


class Column(NamedTuple):
    """`key` is the column's place in the PRIMARY KEY, from 1, or 0; `default` is SQL or empty."""

    name: str
    type: str
    notnull: bool
    default: str
    key: int
    generated: bool


def affinity(declared_type: str) -> str:
    """The type affinity of a column (SQLite documentation, "Determination Of Column Affinity")."""
    words = {
        "INTEGER": ("INT",),
        "TEXT": ("CHAR", "CLOB", "TEXT"),
        "BLOB": ("BLOB",),
        "REAL": ("REAL", "FLOA", "DOUB"),
    }
    if not declared_type:
        return "BLOB"
    found = (name for name, parts in words.items() if any(p in declared_type for p in parts))
    return next(found, "NUMERIC")


def affinity_of(table: "Table", column: Column) -> str:
    """The type affinity of a column of a table. In a STRICT one a column of type ANY has none; in
    another one that name makes it NUMERIC (SQLite documentation, "STRICT Tables").
    """
    return "BLOB" if table.strict and column.type == "ANY" else affinity(column.type)


class IndexColumn(NamedTuple):
    """`name` is empty for an expression; of a column, `collation` is what the index sorts by."""

    name: str
    descending: bool
    collation: str

    @property
    def compared(self) -> str:
        """What decides whether two values are equal here: the column and its collation."""
        collate = "" if self.collation == "BINARY" else f" COLLATE {self.collation}"
        return (self.name or "an expression") + collate

    def __str__(self) -> str:
        return self.compared + (" DESC" if self.descending else "")


@dataclass(frozen=True)
class Index:
    """An index; `origin` is c (CREATE INDEX), u (UNIQUE) or pk, `where` the rows that it has."""

    name: str
    table: str
    unique: bool
    origin: str
    columns: tuple[IndexColumn, ...]
    where: str = ""
    expressions: str = ""
    sql: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        columns = ", ".join(map(str, self.columns))
        where = f" WHERE {self.where}" if self.where else ""
        return f"{'UNIQUE ' if self.unique else ''}{self.table}({columns}){where}"


class CheckConstraint(NamedTuple):
    """A CHECK: what SQLite calls it when it refuses a row (its name, or else its text), the normal
    form of its expression, the column in whose definition it stands, if any, the text of the
    expression and of the whole constraint.
    """

    called: str
    expression: str
    column: str = ""
    text: str = ""
    sql: str = ""


class View(NamedTuple):
    """A view; `sql` is its CREATE statement."""

    name: str
    sql: str


class Trigger(NamedTuple):
    """A trigger on `table` (or view); `sql` is its CREATE statement."""

    name: str
    table: str
    sql: str


@dataclass(frozen=True)
class Table:
    """A table; `kind` is table, virtual or shadow. `columns` are in their order in the table.
    `former_keys` are the foreign keys that a declared table must no longer have.
    """

    name: str
    kind: str
    columns: tuple[Column, ...]
    foreign_keys: frozenset[ForeignKey]
    without_rowid: bool
    strict: bool
    sql: str = field(repr=False)
    former_keys: set[Reference] = field(default_factory=set, compare=False, repr=False)

    @cached_property
    def column(self) -> Mapping[str, Column]:
        """The columns by folded name."""
        return {fold(column.name): column for column in self.columns}

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the PRIMARY KEY, in its order."""
        keys = sorted((column.key, column.name) for column in self.columns if column.key)
        return tuple(name for _, name in keys)

    @property
    def folded_key(self) -> tuple[str, ...]:
        """The folded names of the columns of the PRIMARY KEY."""
        return tuple(map(fold, self.primary_key))

    @property
    def has_rowid_key(self) -> bool:
        """Whether the PRIMARY KEY is another name of the rowid."""
        types = [self.column[name].type for name in self.folded_key]
        return types == ["INTEGER"] and not self.without_rowid

    @property
    def checks(self) -> frozenset[str]:
        """The CHECK expressions in normal form."""
        return frozenset(check.expression for check in self.check_constraints)

    @property
    def check_constraints(self) -> tuple[CheckConstraint, ...]:
        """The CHECK constraints, in their order in the text."""
        return _check_constraints(self.sql, self.name)

    @cached_property
    def autoincrement(self) -> bool:
        """AUTOINCREMENT is a reserved word: unquoted, it can mean nothing else."""
        is_there = "autoincrement" in self.sql.lower()  # which is seen faster
        return is_there and ("word", "autoincrement") in tokens(self.sql)

    @cached_property
    def clauses(self) -> Mapping[str, tuple[str, ...]]:
        """COLLATE and ON CONFLICT of each column that has them, by folded name, and ON CONFLICT of
        each UNIQUE and PRIMARY KEY, by what it is about.
        """
        return clauses_by_name(self.sql)


@dataclass(frozen=True)
class Schema:
    """All that a database has; `indexes` includes those that SQLite made for a UNIQUE or a key,
    `statistics` are the tables in which ANALYZE keeps what it found.
    """

    tables: Mapping[str, Table]
    indexes: Mapping[str, Index]
    views: Mapping[str, View]
    triggers: Mapping[str, Trigger]
    statistics: tuple[str, ...] = ()

    def indexes_on(self, table: str) -> list[Index]:
        """The indexes of one table."""
        return self._of_table.get(fold(table), [])

    @cached_property
    def _of_table(self) -> Mapping[str, list[Index]]:
        found: dict[str, list[Index]] = {}
        for index in self.indexes.values():
            found.setdefault(fold(index.table), []).append(index)
        return found

    def uniques_of(self, table: str) -> frozenset[tuple[str, ...]]:
        """The column lists of the UNIQUE constraints of one table, folded."""
        return frozenset(
            tuple(fold(column.compared) for column in index.columns)
            for index in self.indexes_on(table)
            if index.origin == "u"
        )


def read_schema(connection: sqlite3.Connection) -> Schema:
    """Read back what `connection`'s database has, in one transaction: others may be changing it.

    Raises sqlite3.Error when it cannot be read.
    """
    if connection.in_transaction:
        return _read(connection)
    connection.execute("BEGIN")
    try:
        return _read(connection)
    finally:
        if connection.in_transaction:  # some errors have ended it already
            connection.execute("ROLLBACK")


def _read(connection: sqlite3.Connection) -> Schema:
    text: dict[tuple[str, str], str] = {}
    views: dict[str, View] = {}
    triggers: dict[str, Trigger] = {}
    for kind, name, table, sql in connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    ):
        if not all(isinstance(value, str) for value in (kind, name, table, sql)):
            raise _malformed(name)
        if fold(name) in _functions(connection, name):
            raise HidingNameError(name)
        text[kind, name] = sql
        if kind == "view":
            views[fold(name)] = View(name, sql)
        elif kind == "trigger":
            triggers[fold(name)] = Trigger(name, table, sql)
    tables = {}
    for name, kind, without_rowid, strict in connection.execute(
        "SELECT name, type, wr, strict FROM pragma_table_list"
        " WHERE schema = 'main' AND type <> 'view' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    ):
        if ("table", name) not in text:
            raise _malformed(name)
        # A virtual table cannot be asked where its module is missing, and is never one of ours.
        is_virtual = kind == "virtual"
        tables[fold(name)] = Table(
            name=name,
            kind=kind,
            columns=() if is_virtual else _columns(connection, name),
            foreign_keys=frozenset(),
            without_rowid=bool(without_rowid),
            strict=bool(strict),
            sql=text["table", name],
        )
    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    for name, found in tables.items():
        if found.kind != "virtual":
            keys = frozenset(
                _with_parent_key(connection, key, tables)
                for key in database.table(found.name).foreign_keys
            )
            if keys:
                tables[name] = replace(found, foreign_keys=keys)
    statistics = tuple(name for _, name in text if name in ("sqlite_stat1", "sqlite_stat4"))
    return Schema(tables, _indexes(connection, text), views, triggers, statistics)


def _functions(connection: sqlite3.Connection, name: str) -> Set[str]:
    """The names under which a SELECT asks a pragma, if `name` may be one of them. A table or view
    of that name would answer in SQLite's place, whatever it likes.
    """
    if not fold(name).startswith("pragma_"):
        return frozenset()
    return {f"pragma_{pragma}" for (pragma,) in connection.execute("PRAGMA pragma_list")}


def _malformed(name: object) -> sqlite3.DatabaseError:
    """What SQLite says of a schema that it does not take. It takes one that it would never write:
    whose text is a BLOB, or in which the letter case differs from the text.
    """
    return sqlite3.DatabaseError(f"malformed database schema ({name})")


def _with_parent_key(
    connection: sqlite3.Connection, key: ForeignKey, tables: Mapping[str, Table]
) -> ForeignKey:
    """`REFERENCES Parent` with the parent's PRIMARY KEY, whatever the letter case of its name.

    sqlite-utils looks for the parent by its exact name, and says rowid where it finds none.
    """
    parent = tables.get(fold(key.other_table))
    if parent and key.other_columns == ("rowid",) and len(parent.primary_key) == 1:
        named = connection.execute(
            'SELECT 1 FROM pragma_foreign_key_list(?) WHERE "from" = ? AND "to" IS NOT NULL',
            (key.table, key.columns[0]),
        ).fetchone()
        if not named:
            return replace(
                key, other_column=parent.primary_key[0], other_columns=parent.primary_key
            )
    return key


def _columns(connection: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    rows = connection.execute(
        'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)', (table,)
    )
    return tuple(
        Column(name, type_.translate(_UPPER), bool(notnull), literal(default), key, hidden > 1)
        for name, type_, notnull, default, key, hidden in rows
    )


def _indexes(
    connection: sqlite3.Connection, text: Mapping[tuple[str, str], str]
) -> dict[str, Index]:
    columns: dict[tuple[str, str, int, str], list[IndexColumn]] = {}
    for table, index, unique, origin, column, descending, collation in connection.execute(
        'SELECT t.name, i.name, i."unique", i.origin, c.name, c."desc", c.coll'
        "  FROM sqlite_schema AS t, pragma_index_list(t.name) AS i, pragma_index_xinfo(i.name) AS c"
        " WHERE t.type = 'table' AND t.sql NOT LIKE 'CREATE VIRTUAL %' AND c.key"
        " ORDER BY t.rowid, i.seq DESC, c.seqno"  # as they were made
    ):
        columns.setdefault((table, index, unique, origin), []).append(
            IndexColumn(column or "", bool(descending), collation.upper())
        )
    found = {}
    for (table, name, unique, origin), of_index in columns.items():
        sql = text.get(("index", name), "")
        where = where_of_index(sql)
        has_expression = sql and not all(column.name for column in of_index)
        found[fold(name)] = Index(
            name=name,
            table=table,
            unique=bool(unique),
            origin=origin,
            columns=tuple(of_index),
            where=where,
            # Pragmas do not tell an expression: of such an index the whole text is compared.
            expressions=normal(sql[sql.index("(") :]) if has_expression else "",
            sql=sql,
        )
    return found


@lru_cache(maxsize=256)
def _check_constraints(sql: str, table: str) -> tuple[CheckConstraint, ...]:
    """Cached because parsing takes longer than all the pragmas of a table, and a live table is
    usually the very text of the declared one.
    """
    if "check" not in sql.lower():
        return ()
    found = []
    for definition in definitions(sql):
        for clause in definition.clauses:
            if clause.keyword == "check":
                check = check_of(clause)
                expression = normal(unqualified(check.text, table))
                called = check.name or unquoted(check.text)
                found.append(
                    CheckConstraint(called, expression, definition.column, check.text, clause.text)
                )
    return tuple(found)
