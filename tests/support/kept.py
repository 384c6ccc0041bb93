"""Check that `init` keeps every row, value and object of an older database."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from contextlib import closing
from functools import cache

from abathur_schema.declared.declaration import declared
from abathur_schema.schema.create_table import definitions
from abathur_schema.schema.model import affinity
from abathur_schema.schema.text import normal
from tests.support.everything import Cell, Everything, IndexForm, quoted

OLD_NAMES = {("tasks", "template_name"): "prompt"}
"""The columns that `sql/upgrades/` renames, and their new names."""


def lost(before: Everything, after: Everything, dropped: Set[str]) -> Iterator[str]:
    """Yield a line for each thing not kept; `dropped` are the indexes reported as dropped."""
    for name, value in before.settings.items():
        if after.settings[name] != value:
            yield f"{name} was {value}, is {after.settings[name]}"
    if before.integrity == ("ok",) and after.integrity != ("ok",):
        yield f"integrity: {after.integrity}"
    for table in before.rows:
        yield from _rows(before, after, table)
        yield from _columns(before, after, table)
        yield from _constraints(before, after, table)
        yield from _texts(before, after, table)
    yield from _objects(before, after, dropped)
    yield from _beside(before, after)


def new_name(before: Everything, table: str, column: str) -> str:
    """Return the name of a column after the upgrade, folded to lower case."""
    has = {name.lower() for name in before.columns.get(table, ())}
    renamed = OLD_NAMES.get((table.lower(), column.lower()))
    return renamed if renamed and renamed not in has else _folded(column)


def _folded(name: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _rows(before: Everything, after: Everything, table: str) -> Iterator[str]:
    old, new = before.rows[table], after.rows.get(table)
    if new is None:
        yield f"table {table} is gone"
        return
    types = {_folded(name): form.type for name, form in after.columns[table].items()}
    names = {name: new_name(before, table, name) for name in before.columns[table]}
    if gone := set(names.values()) - set(types):
        yield f"{table}: columns {gone} are gone"
        return
    expected = {
        row: {names[c]: converted(cell, types[names[c]]) for c, cell in cells.items()}
        for row, cells in old.items()
    }
    for row, cells in old.items():
        for column, cell in cells.items():
            if not converts_back(cell, expected[row][names[column]]):
                there = before.columns[table][column].type
                yield f"{table}.{column} {there}: {cell} became {expected[row][names[column]]}"
    found = {
        row: {_folded(c): cell for c, cell in cells.items() if _folded(c) in names.values()}
        for row, cells in new.items()
    }
    if found == expected:
        return
    if _gets_new_rowids(before, after, table):
        one, other = (Counter(map(_frozen, rows.values())) for rows in (expected, found))
        if one != other:
            yield f"{table}: rows {one - other} became {other - one}"
        return
    yield f"{table}: rows {expected} became {found}"


def _frozen(cells: dict[str, Cell]) -> frozenset[tuple[str, Cell]]:
    return frozenset(cells.items())


def _gets_new_rowids(before: Everything, after: Everything, table: str) -> bool:
    """Return whether rowids cannot be kept: a WITHOUT ROWID table has none, and where `id` becomes
    the rowid, the id is kept instead.
    """
    if "WITHOUT ROWID" in str(before.objects["table", table].sql).upper():
        return True
    ids = {_folded(name): name for name in before.columns[table]}
    wanted = declared().schema.tables.get(_folded(table))
    key = wanted.primary_key if wanted else ()
    if not wanted or len(key) != 1 or wanted.column[key[0]].type != "INTEGER" or key[0] not in ids:
        return False
    rows = before.rows[table].items()
    return any(cells[ids[key[0]]] != ("integer", row) for row, cells in rows)


@cache
def converted(cell: Cell, declared_type: str) -> Cell:
    """Return the value that SQLite stores for `cell` in a column of this type."""
    kind, value = cell
    if value == b"now":
        return cell
    bound = "CAST(? AS TEXT)" if kind == "text" else "?"
    parameter = float(value) if kind == "real" else value
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t (c {quoted(declared_type) if declared_type else ''})")
        connection.execute(f"INSERT INTO t VALUES ({bound})", (parameter,))
        kind, value = connection.execute(
            "SELECT typeof(c), CASE typeof(c) WHEN 'text' THEN CAST(c AS BLOB) ELSE c END FROM t"
        ).fetchone()
    return kind, repr(value) if kind == "real" else value


@cache
def converts_back(old: Cell, new: Cell) -> bool:
    """Return whether `new` preserves all of `old`."""
    if old == new:
        return True
    if "blob" in (old[0], new[0]) or "null" in (old[0], new[0]):
        return False
    with closing(sqlite3.connect(":memory:")) as connection:
        bound = "CAST(? AS TEXT)" if new[0] == "text" else "?"
        parameter = float(new[1]) if new[0] == "real" else new[1]
        (value,) = connection.execute(f"SELECT CAST({bound} AS {old[0]})", (parameter,)).fetchone()
    if old[0] == "text":
        return bool(value.encode("utf-8", "surrogateescape") == old[1])
    return bool((repr(value) if old[0] == "real" else value) == old[1])


def _columns(before: Everything, after: Everything, table: str) -> Iterator[str]:
    wanted = declared().schema.tables.get(_folded(table))
    known = set(wanted.column) if wanted else set()
    there = {_folded(name): form for name, form in after.columns.get(table, {}).items()}
    for name, form in before.columns[table].items():
        if new_name(before, table, name) not in known and there.get(_folded(name)) != form:
            yield f"{table}.{name} was {form}, is {there.get(_folded(name))}"


def _constraints(before: Everything, after: Everything, table: str) -> Iterator[str]:
    uniques = {tuple(map(_compared, one.columns)) for one in _uniques(after, table, "upk")}
    for one in _uniques(before, table, "u"):
        columns = [(new_name(before, table, str(c)), *more) for c, *more in one.columns]
        if tuple((name, collation) for name, _, collation in columns) not in uniques:
            yield f"{table}: UNIQUE {one.columns} is gone"
    wanted = declared().schema.tables.get(_folded(table))
    ours = {
        (_folded(key.other_table), tuple(map(_folded, key.columns)))
        for key in (wanted.foreign_keys if wanted else ())
    }
    for parent, actions, pairs in before.keys[table]:
        renamed = tuple(
            (new_name(before, table, one), new_name(before, str(parent), other))
            for one, other in pairs  # type: ignore[attr-defined]
        )
        is_ours = (parent, tuple(one for one, _ in renamed)) in ours
        if not is_ours and (parent, actions, renamed) not in after.keys.get(table, ()):
            yield f"{table}: foreign key {pairs} to {parent} {actions} is gone"


def _texts(before: Everything, after: Everything, table: str) -> Iterator[str]:
    """Compare the text of CHECKs and of references to tables not ours, which no pragma reports."""
    made = normal(after.objects["table", table].sql)
    for definition in definitions(str(before.objects["table", table].sql)):
        for clause in definition.clauses:
            text = normal(clause.text)
            text = text[max(text.find("check ("), text.find("references "), 0) :]
            is_ours = any(
                text.startswith(f"references {name}") for name in declared().schema.tables
            )
            is_kept = clause.keyword in ("check", "references") and not is_ours
            if is_kept and "template_name" not in text and text not in made:
                yield f"{table}: {text} is gone"


def _uniques(of: Everything, table: str, origins: str) -> Iterator[IndexForm]:
    return (
        one
        for one in of.indexes.values()
        if one.table.lower() == table.lower() and one.origin in origins
    )


def _compared(column: tuple[str | None, int, str]) -> tuple[str, str]:
    return _folded(column[0] or ""), column[2]


def _objects(before: Everything, after: Everything, dropped: Set[str]) -> Iterator[str]:
    schema = declared().schema
    known = {*schema.tables, *schema.indexes}
    is_renamed = any(
        new_name(before, table, name) != _folded(name)
        for table, names in before.columns.items()
        for name in names
    )
    for (kind, name), thing in before.objects.items():
        if _folded(name) in known and kind in ("table", "index"):
            continue
        there = after.objects.get((kind, name))
        if name in dropped:
            if there or not _is_repeated(before.indexes[name], after):
                yield f"index {name} was dropped: {thing.sql}"
        elif there is None or (there != thing and not is_renamed):
            yield f"{kind} {name} was {thing}, is {there}"


def _is_repeated(index: IndexForm, after: Everything) -> bool:
    """Return whether the live schema serves every query that the index did."""
    columns = [_compared(column) for column in index.columns]
    if any(
        [_compared(column) for column in other.columns] == columns
        for other in after.indexes.values()
        if other.table.lower() == index.table.lower() and other.unique >= index.unique
    ):
        return True
    keys = declared().schema.tables[_folded(index.table)].primary_key
    return [name for name, _ in columns] == list(keys)


def _beside(before: Everything, after: Everything) -> Iterator[str]:
    for name, seq in before.sequence:
        # SQLite raises a counter that is too low as soon as a row is inserted.
        expected = {seq, max([seq, *after.rows.get(str(name), ())])} if type(seq) is int else ()
        if expected and not any(after.sequence[name, one] for one in expected):
            yield f"sqlite_sequence of {name} was {seq}, is {after.sequence}"
    for row in before.statistics - after.statistics:
        _, index, _ = row
        same = index is None or (
            not str(index).startswith("sqlite_")
            and before.indexes.get(str(index)) == after.indexes.get(str(index), 0)
        )
        if same:
            yield f"statistics {row} are gone"
    kept = {table for table in before.rows if not _gets_new_rowids(before, after, table)}
    # A foreign key that existed twice need only be kept once.
    more = {row for row in after.orphans if row[0] in kept}
    less = {row for row in before.orphans if row[0] in kept}
    changed = {
        table
        for table, columns in before.columns.items()
        for name, form in columns.items()
        for new, other in after.columns.get(table, {}).items()
        if new_name(before, table, name) == _folded(new)
        and affinity(form.type.upper()) != affinity(other.type.upper())
    }
    changed |= set(before.mismatched) | set(after.mismatched)
    for row in more ^ less:
        if not {str(row[0]), str(row[2])} & changed and "template_name" not in row:
            yield f"foreign keys: {row} is {'new' if row in more else 'gone'}"


def differences(one: Everything, other: Everything, fields: Iterable[str] = ()) -> list[str]:
    """Return the parts in which two databases differ, among `fields` or all."""
    names = tuple(fields) or tuple(Everything.__dataclass_fields__)
    return [name for name in names if getattr(one, name) != getattr(other, name)]
