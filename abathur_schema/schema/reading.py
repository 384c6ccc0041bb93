"""Read the schema of a database, as values.

Structure comes from SQLite's table-valued pragmas, foreign keys and CHECKs from sqlite-utils. Names
are compared as SQLite does, ignoring case; mappings are keyed by folded name.
"""

import sqlite3
from collections.abc import Mapping, Set
from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase

from sqlite_utils import Database
from sqlite_utils.db import ForeignKey
from sqlite_utils.db import Table as Introspected

from ..errors import HidingNameError, NoUtf8Error
from .model import Column, Index, IndexColumn, Schema, Table, Trigger, View, generated_by
from .text import fold, is_utf8, literal, normal, quoted, where_of_index

_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
"""Upper-casing as SQLite does it: only ASCII letters."""


def read_schema(connection: sqlite3.Connection) -> Schema:
    """Read the whole schema in one transaction, because other connections may be changing it.

    Raises sqlite3.Error when it cannot be read.
    """
    if connection.in_transaction:
        return _read(connection)
    connection.execute("BEGIN")
    try:
        return _read(connection)
    finally:
        if connection.in_transaction:  # some errors end it
            connection.execute("ROLLBACK")


def _read(connection: sqlite3.Connection) -> Schema:
    text: dict[tuple[str, str], str] = {}
    views: dict[str, View] = {}
    triggers: dict[str, Trigger] = {}
    for row in connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    ):
        kind, name, table, sql = row
        if {*map(type, row)} != {str}:
            raise _malformed(name)
        if name[:7].lower() == "pragma_" and fold(name) in _functions(connection):
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
        if not is_utf8(name):
            raise NoUtf8Error(name)
        # A virtual table cannot be queried without its module.
        is_virtual = kind == "virtual"
        tables[fold(name)] = Table(
            name=name,
            kind=kind,
            columns=() if is_virtual else _columns(connection, name, text["table", name]),
            foreign_keys=frozenset(),
            without_rowid=bool(without_rowid),
            strict=bool(strict),
            sql=text["table", name],
        )
    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    for name, found in tables.items():
        if found.kind != "virtual" and "references" in found.sql.lower():
            keys = frozenset(
                _with_parent_key(connection, key, tables)
                for key in Introspected(database, found.name).foreign_keys
            )
            if keys:
                tables[name] = found._replace(foreign_keys=keys)
    statistics = tuple(name for _, name in text if name in ("sqlite_stat1", "sqlite_stat4"))
    return Schema(tables, _indexes(connection, text), views, triggers, statistics)


def _functions(connection: sqlite3.Connection) -> Set[str]:
    """The names of SQLite's pragma functions. A table or view of such a name would answer in
    SQLite's place.
    """
    return {f"pragma_{pragma}" for (pragma,) in connection.execute("PRAGMA pragma_list")}


def _malformed(name: object) -> sqlite3.DatabaseError:
    """The error that SQLite raises for a schema it rejects. It accepts some that it would never
    write: with a BLOB as text, or with a name whose case differs from the text.
    """
    return sqlite3.DatabaseError(f"malformed database schema ({name})")


def _with_parent_key(
    connection: sqlite3.Connection, key: ForeignKey, tables: Mapping[str, Table]
) -> ForeignKey:
    """Resolve `REFERENCES Parent` to the parent's PRIMARY KEY, whatever the case of its name.

    sqlite-utils looks up the parent by its exact name, and says rowid when it finds none.
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


_COLUMNS: dict[str, tuple[Column, ...]] = {}
"""The columns by the text of their table, which is all that determines them: the tables of a live
database are mostly the declared ones, and they are read before and after each step."""


def _columns(connection: sqlite3.Connection, table: str, sql: str) -> tuple[Column, ...]:
    if (known := _COLUMNS.get(sql)) is None:
        rows = connection.execute(f"PRAGMA main.table_xinfo({quoted(table)})")
        known = _COLUMNS[sql] = tuple(
            Column(
                *(name, key, type_.translate(_UPPER), bool(notnull), literal(default)),
                _generated(sql, name, "STORED" if hidden == 3 else "VIRTUAL") if hidden > 1 else "",
            )
            for _, name, type_, notnull, default, key, hidden in rows
        )
    return known


def _generated(sql: str, column: str, kind: str) -> str:
    """How a column is computed; no pragma reports the expression."""
    return f"AS ({normal(generated_by(sql).get(fold(column)))}) {kind}"


def _indexes(
    connection: sqlite3.Connection, text: Mapping[tuple[str, str], str]
) -> dict[str, Index]:
    columns: dict[tuple[str, str, int, str], list[IndexColumn]] = {}
    for table, index, unique, origin, column, descending, collation in connection.execute(
        'SELECT t.name, i.name, i."unique", i.origin, c.name, c."desc", c.coll'
        "  FROM sqlite_schema AS t, pragma_index_list(t.name) AS i, pragma_index_xinfo(i.name) AS c"
        " WHERE t.type = 'table' AND t.sql NOT LIKE 'CREATE VIRTUAL %' AND c.key"
        " ORDER BY t.rowid, i.seq DESC, c.seqno"  # in order of creation
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
            # Pragmas do not report expressions: for such an index the whole text is compared.
            expressions=normal(sql[sql.index("(") :]) if has_expression else "",
            sql=sql,
        )
    return found
