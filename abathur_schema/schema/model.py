"""Tables and indexes as values, the same for the declared and a live schema.

Names are compared as SQLite does, ignoring case; mappings are keyed by folded name.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple

from sqlite_utils.db import ForeignKey

from .clauses import clauses_by_name, collations_by_name
from .create_table import Reference, check_of, definitions, expression_of, unqualified
from .text import TOKEN, fold, normal, tokens, unquoted

_SAYS_CHECK = re.compile(r"\bcheck\b", re.IGNORECASE)


class Column(NamedTuple):
    """`key` is the column's place in the PRIMARY KEY, from 1, or 0; `default` is SQL or empty.
    `generated` is how it is computed, in normal form, such as `AS (b + 1) STORED`; or empty.
    """

    name: str
    key: int
    type: str
    notnull: bool
    default: str
    generated: str


@lru_cache(maxsize=64)
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
    """The affinity of a column of `table`. Type ANY means none in a STRICT table, and NUMERIC in
    any other (SQLite documentation, "STRICT Tables").
    """
    return "BLOB" if table.strict and column.type == "ANY" else affinity(column.type)


class IndexColumn(NamedTuple):
    """`name` is empty for an expression; `collation` is the one the index sorts by."""

    name: str
    descending: bool
    collation: str

    @property
    def compared(self) -> str:
        """What determines equality in this index: the column and its collation."""
        collate = "" if self.collation == "BINARY" else f" COLLATE {self.collation}"
        return (self.name or "an expression") + collate

    def __str__(self) -> str:
        return self.compared + (" DESC" if self.descending else "")


class Index(NamedTuple):
    """An index; `origin` is c (CREATE INDEX), u (UNIQUE) or pk; `where` is its row condition."""

    name: str
    table: str
    unique: bool
    origin: str
    columns: tuple[IndexColumn, ...]
    where: str = ""
    expressions: str = ""
    sql: str = ""

    def __str__(self) -> str:
        columns = ", ".join(map(str, self.columns))
        where = f" WHERE {self.where}" if self.where else ""
        return f"{'UNIQUE ' if self.unique else ''}{self.table}({columns}){where}"


class CheckConstraint(NamedTuple):
    """A CHECK: what SQLite calls it when it rejects a row (its name or else its text), its
    expression in normal form, the column whose definition contains it (or empty), and the text of
    the expression and of the whole constraint.
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


class TableFields(NamedTuple):
    """What is read of a table."""

    name: str
    kind: str
    columns: tuple[Column, ...]
    foreign_keys: frozenset[ForeignKey]
    without_rowid: bool
    strict: bool
    sql: str
    former_keys: frozenset[Reference] = frozenset()


class Table(TableFields):
    """A table; `kind` is table, virtual or shadow. `columns` are in table order. `former_keys` are
    foreign keys that a declared table must no longer have.
    """

    @cached_property
    def column(self) -> Mapping[str, Column]:
        """The columns by folded name."""
        return {fold(column.name): column for column in self.columns}

    @cached_property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the PRIMARY KEY, in its order."""
        keys = sorted((column.key, column.name) for column in self.columns if column.key)
        return tuple(name for _, name in keys)

    @cached_property
    def folded_key(self) -> tuple[str, ...]:
        """The folded names of the columns of the PRIMARY KEY."""
        return tuple(map(fold, self.primary_key))

    @property
    def has_rowid_key(self) -> bool:
        """Whether the PRIMARY KEY is an alias of the rowid. `INTEGER PRIMARY KEY DESC` is none, by
        an old mistake (SQLite documentation, "ROWIDs and the INTEGER PRIMARY KEY").
        """
        types = [self.column[name].type for name in self.folded_key]
        return types == ["INTEGER"] and not self.without_rowid and not self._key_descends

    @cached_property
    def _key_descends(self) -> bool:
        if "desc" not in self.sql.lower():  # a shortcut
            return False
        words = " ".join(one.text if one.kind == "word" else "," for one in tokens(self.sql))
        return "primary key desc" in words

    @property
    def checks(self) -> frozenset[str]:
        """The CHECK expressions, in normal form."""
        return frozenset(check.expression for check in self.check_constraints)

    @property
    def check_constraints(self) -> tuple[CheckConstraint, ...]:
        """The CHECK constraints, in the order of the text."""
        return _check_constraints(self.sql, self.name)

    @cached_property
    def autoincrement(self) -> bool:
        """Whether it has AUTOINCREMENT; unquoted, this reserved word can mean nothing else."""
        is_there = "autoincrement" in self.sql.lower()  # a shortcut
        return is_there and any(
            one.lastgroup == "word" and one.group().lower() == "autoincrement"
            for one in TOKEN.finditer(self.sql)
        )

    @cached_property
    def clauses(self) -> Mapping[str, tuple[str, ...]]:
        """COLLATE and ON CONFLICT of each column that has them, by folded name, and ON CONFLICT of
        each UNIQUE and PRIMARY KEY, by its `key_name`.
        """
        return clauses_by_name(self.sql)

    @cached_property
    def collations(self) -> Mapping[str, str]:
        """The collation of each column, by folded name, that has another than BINARY."""
        return collations_by_name(self.clauses)


class SchemaFields(NamedTuple):
    """What is read of a database."""

    tables: Mapping[str, Table]
    indexes: Mapping[str, Index]
    views: Mapping[str, View]
    triggers: Mapping[str, Trigger]
    statistics: tuple[str, ...] = ()


class Schema(SchemaFields):
    """The whole schema of a database; `indexes` include those that SQLite created for constraints,
    `statistics` are the tables of ANALYZE.
    """

    def named(self, name: str) -> "Table | Index | View | Trigger":
        """The object with this folded name. Raises KeyError."""
        kinds: tuple[Mapping[str, Table | Index | View | Trigger], ...] = (
            *(self.tables, self.indexes, self.views, self.triggers),
        )
        return next(kind[name] for kind in kinds if name in kind)

    def indexes_on(self, table: str) -> list[Index]:
        """The indexes of one table."""
        return self._of_table.get(fold(table), [])

    def triggers_on(self, name: str) -> list[Trigger]:
        """The triggers of one table or view."""
        return [one for one in self.triggers.values() if fold(one.table) == fold(name)]

    @cached_property
    def _of_table(self) -> Mapping[str, list[Index]]:
        found: dict[str, list[Index]] = {}
        for index in self.indexes.values():
            found.setdefault(fold(index.table), []).append(index)
        return found

    def key_of(self, table: Table) -> tuple[str, ...]:
        """What determines equality in the PRIMARY KEY of a table: the columns, with COLLATE unless
        BINARY; DESC is told only of an integer, as it may keep it from being the rowid.
        """
        index = next((one for one in self.indexes_on(table.name) if one.origin == "pk"), None)
        if not index:
            return table.primary_key
        if [affinity(table.column[name].type) for name in table.folded_key] == ["INTEGER"]:
            return tuple(map(str, index.columns))
        return tuple(column.compared for column in index.columns)

    def uniques_of(self, table: str) -> frozenset[tuple[str, ...]]:
        """The columns of each UNIQUE constraint of a table, folded."""
        return frozenset(
            tuple(fold(column.compared) for column in index.columns)
            for index in self.indexes_on(table)
            if index.origin == "u"
        )


def reference(key: ForeignKey) -> Reference:
    """The columns of a foreign key and what they reference, for comparison; no actions."""
    return Reference(folded(key.columns), fold(key.other_table), folded(key.other_columns))


def spelled(key: ForeignKey) -> str:
    """A foreign key such as `(task_id) -> tasks(id)`."""
    return (
        f"({', '.join(key.columns)}) -> {key.other_table}({', '.join(map(str, key.other_columns))})"
    )


def folded(names: Iterable[str | None]) -> tuple[str, ...]:
    """The names folded for comparison."""
    return tuple(fold(name or "") for name in names)


def generated_by(sql: str) -> Mapping[str, str]:
    """The expression of each generated column in a CREATE TABLE, by folded name."""
    return {
        fold(definition.column): expression_of(clause, "as")
        for definition in definitions(sql)
        for clause in definition.clauses
        if clause.keyword in ("generated", "as")
    }


@lru_cache(maxsize=256)
def _check_constraints(sql: str, table: str) -> tuple[CheckConstraint, ...]:
    """Cached because parsing takes longer than all the pragmas of a table, and the text of a live
    table is usually that of the declared one.
    """
    if not _SAYS_CHECK.search(sql):  # a shortcut
        return ()
    found = []
    for definition in definitions(sql):
        for clause in definition.clauses if definition.says("check") else ():
            if clause.keyword == "check":
                check = check_of(clause)
                expression = normal(unqualified(check.text, table))
                called = check.name or unquoted(check.text)
                found.append(
                    CheckConstraint(called, expression, definition.column, check.text, clause.text)
                )
    return tuple(found)
