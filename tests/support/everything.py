"""Read everything that a database holds, using SQLite alone."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

Cell = tuple[str, Any]
"""A storage class and a value; text as bytes, since it may not be valid UTF-8."""

NOW = re.compile(rb"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d")
SETTINGS = ("encoding", "page_size", "auto_vacuum", "user_version", "application_id")


class Object(NamedTuple):
    """A row of sqlite_schema."""

    table: str
    sql: str | None


class ColumnForm(NamedTuple):
    """What SQLite reports about a column."""

    type: str
    notnull: int
    default: str | None
    hidden: int
    collation: str


class IndexForm(NamedTuple):
    """What SQLite reports about an index; columns: (name, or None: expression; DESC; collation)."""

    table: str
    unique: int
    origin: str
    partial: int
    columns: tuple[tuple[str | None, int, str], ...]


@dataclass(frozen=True)
class Everything:
    """Everything in one database.

    `rows`: by table, then by rowid (by position in a WITHOUT ROWID table), the values by column.
    `orphans`: foreign key violations. `mismatched`: tables that SQLite cannot check for them.
    """

    settings: Mapping[str, object]
    objects: Mapping[tuple[str, str], Object]
    rows: Mapping[str, Mapping[int, Mapping[str, Cell]]]
    columns: Mapping[str, Mapping[str, ColumnForm]]
    indexes: Mapping[str, IndexForm]
    keys: Mapping[str, Counter[tuple[object, ...]]]
    sequence: Counter[tuple[object, ...]]
    statistics: Counter[tuple[object, ...]]
    orphans: Counter[tuple[object, ...]]
    mismatched: frozenset[str]
    integrity: tuple[str, ...]


def everything(path: Path) -> Everything:
    """Read everything in a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = _readable
        objects = {
            (kind, name): Object(table, sql)
            for kind, name, table, sql in connection.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_schema"
                " WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'"
            )
        }
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
                " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
            )
        ]
        orphans, mismatched = _orphans(connection, tables)
        columns = {table: _columns(connection, table, objects) for table in tables}
        return Everything(
            settings={
                name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in SETTINGS
            },
            objects=objects,
            rows={table: _rows(connection, table, [*columns[table]]) for table in tables},
            columns=columns,
            indexes=dict(_indexes(connection, tables)),
            keys={
                table: Counter(
                    _keys(connection.execute(f"PRAGMA foreign_key_list({quoted(table)})"))
                )
                for table in tables
            },
            sequence=_all(connection, "sqlite_sequence"),
            statistics=_all(connection, "sqlite_stat1"),
            orphans=orphans,
            mismatched=mismatched,
            integrity=tuple(text for (text,) in connection.execute("PRAGMA integrity_check")),
        )


def quoted(name: str) -> str:
    """Quote a name for use in a statement."""
    return '"' + name.replace('"', '""') + '"'


def _all(connection: sqlite3.Connection, table: str) -> Counter[tuple[object, ...]]:
    with suppress(sqlite3.OperationalError):
        return Counter(connection.execute(f"SELECT * FROM {table}"))
    return Counter()


def _rows(
    connection: sqlite3.Connection, table: str, columns: list[str]
) -> dict[int, dict[str, Cell]]:
    folded = {name.lower() for name in columns}
    (without,) = connection.execute("SELECT wr FROM pragma_table_list(?)", (table,)).fetchone()
    free = [name for name in ("rowid", "_rowid_", "oid") if name not in folded]
    rowid = free[0] if free and not without else "row_number() OVER ()"
    # Without the `t.`, a name that SQLite does not recognize would be read as a string.
    values = ", ".join(f"typeof(t.{quoted(name)}), t.{quoted(name)}" for name in columns)
    found = {}
    connection.text_factory = bytes
    rows = connection.execute(f"SELECT {rowid}, {values} FROM {quoted(table)} AS t").fetchall()
    connection.text_factory = _readable
    for row, *cells in rows:
        pairs = zip(map(bytes.decode, cells[::2]), map(_exact, cells[1::2]), strict=True)
        found[row] = dict(zip(columns, pairs, strict=True))
    return found


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _exact(value: object) -> object:
    """Return floats with all digits, and `now` for times CURRENT_TIMESTAMP may have written."""
    if isinstance(value, bytes) and NOW.fullmatch(value):
        return b"now"
    return repr(value) if isinstance(value, float) else value


def _columns(
    connection: sqlite3.Connection, table: str, objects: Mapping[tuple[str, str], Object]
) -> dict[str, ColumnForm]:
    with closing(sqlite3.connect(":memory:")) as copy:
        sql = str(objects["table", table].sql)
        copy.execute(re.sub("[\udc80-\udcff]", "_", sql))  # execute() accepts only valid UTF-8
        return {
            name: ColumnForm(type_, notnull, default, hidden, _collation(copy, table, name))
            for name, type_, notnull, default, hidden in connection.execute(
                'SELECT name, type, "notnull", dflt_value, hidden FROM pragma_table_xinfo(?)',
                (table,),
            )
        }


def _collation(copy: sqlite3.Connection, table: str, column: str) -> str:
    """Return the collation of a column, which SQLite reports only for indexes."""
    copy.execute(f"CREATE INDEX one ON {quoted(table)} ({quoted(column)})")
    (found,) = copy.execute("SELECT coll FROM pragma_index_xinfo('one') WHERE seqno = 0").fetchone()
    copy.execute("DROP INDEX one")
    return str(found).upper()


def _indexes(connection: sqlite3.Connection, tables: list[str]) -> Iterator[tuple[str, IndexForm]]:
    for table in tables:
        for name, unique, origin, partial in connection.execute(
            'SELECT name, "unique", origin, partial FROM pragma_index_list(?)', (table,)
        ).fetchall():
            columns = connection.execute(
                'SELECT name, "desc", upper(coll) FROM pragma_index_xinfo(?) WHERE key', (name,)
            )
            yield name, IndexForm(table, unique, origin, partial, tuple(columns))


def _keys(rows: sqlite3.Cursor) -> Iterator[tuple[object, ...]]:
    """Yield the parent, actions and columns of each foreign key."""
    pairs: dict[int, list[tuple[str, str]]] = {}
    keys: dict[int, tuple[object, ...]] = {}
    for number, _, parent, ours, theirs, *actions in rows:
        pairs.setdefault(number, []).append((ours.lower(), (theirs or "").lower()))
        keys[number] = (parent.lower(), tuple(actions))
    for number, key in keys.items():
        yield (*key, tuple(pairs[number]))


def _orphans(
    connection: sqlite3.Connection, tables: list[str]
) -> tuple[Counter[tuple[object, ...]], frozenset[str]]:
    found: Counter[tuple[object, ...]] = Counter()
    mismatched = set()
    for table in tables:
        columns: dict[int, list[str]] = {}
        for number, _, _, ours, *_ in connection.execute(
            f"PRAGMA foreign_key_list({quoted(table)})"
        ):
            columns.setdefault(number, []).append(ours.lower())
        try:
            for child, rowid, parent, number in connection.execute(
                f"PRAGMA foreign_key_check({quoted(table)})"
            ):
                found[(child, rowid, parent.lower(), *columns[number])] += 1
        except sqlite3.OperationalError:
            mismatched.add(table)
    return found, frozenset(mismatched)
