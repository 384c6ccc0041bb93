"""The tables of a database beside what `sql/` declares: where they differ, and what each is for."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlite_utils.db import ForeignKey

from ..declared.check_files import CheckFile, indexes_of
from ..declared.declaration import Declared
from ..schema.difference import OtherIndex, OtherTable, differences
from ..schema.model import Column, Index, Schema, Table, reference
from ..schema.text import comments_before, fold
from ..schema.undeclared import undeclared_in
from .plain import name as as_name
from .plain import plain

Document = dict[str, Any]

OK, MISSING, OTHER, THEIRS = "ok", "missing", "different", "theirs"
"""The states of a thing: as declared, not there, there in another form, not declared."""


def tables(declared: Declared, live: Schema) -> list[Document]:
    """All tables, those of `sql/` first, in its order, as JSON values. Each has its columns,
    foreign keys, indexes (with the queries that use them) and triggers, and each of these a state.
    """
    served = _served(declared)
    wanted = [name for name in declared.names if name in declared.schema.tables]
    others = sorted(
        name
        for name, table in live.tables.items()
        if name not in declared.schema.tables and table.kind != "shadow"
    )
    return [_table(declared, live, name, served) for name in (*wanted, *others)]


def alone(schema: Schema) -> list[Document]:
    """The tables of a schema that is compared with nothing; none of them is in a state."""
    bare = Schema({}, {}, {}, {})
    found = (name for name, table in schema.tables.items() if table.kind != "shadow")
    return [_described(None, schema.tables[name], bare, schema, {}) for name in sorted(found)]


def _table(
    declared: Declared, live: Schema, name: str, served: Mapping[str, list[Document]]
) -> Document:
    wanted = declared.schema.tables.get(name)
    there = live.tables.get(name)
    if there and wanted and there.kind != wanted.kind:
        there = None
    found = _described(wanted, there, declared.schema, live, served)
    if wanted:
        (*others,) = differences(declared.schema, live, [name])
        found["differences"] = [plain(part) for other in others for part in _parts(other)]
        found["state"] = MISSING if not there else OTHER if others else OK
        found["step"] = declared.step_of(name)
        found["comment"] = " ".join(comments_before(declared.creates[name]))
        if there and wanted.kind == "table":
            extra = undeclared_in(declared.schema, live, wanted, there)
            found["undeclared"] = [plain(one) for one in extra]
        found["mark"] = _mark(found)
    return found


def _mark(table: Document) -> str:
    """What is wrong with a table or its indexes, in two words; empty if nothing is."""
    if table["state"] != OK:
        return str(table["state"])
    states = [one["state"] for one in table["indexes"]]
    return next((f"index {state}" for state in (MISSING, OTHER) if state in states), "")


def _parts(difference: object) -> Sequence[object]:
    return difference.changes if isinstance(difference, OtherTable) else [difference]


def _described(
    wanted: Table | None,
    there: Table | None,
    declared: Schema,
    live: Schema,
    served: Mapping[str, list[Document]],
) -> Document:
    table = wanted or there
    assert table
    comments = column_comments(table.sql)
    columns = [
        {"comment": comments.get(fold(column["name"]), ""), **column}
        for column in _columns(wanted, there)
    ]
    return {
        "name": as_name(table.name),
        "kind": table.kind,
        "state": THEIRS,
        "mark": "",
        "differences": [],
        "step": None,
        "comment": "",
        "columns": columns,
        "foreign_keys": [*_foreign_keys(wanted, there)],
        "checks": [plain(f"CHECK ({check.text.strip()})") for check in table.check_constraints],
        "indexes": [*_indexes(table.name, declared, live, served)],
        "triggers": [as_name(one.name) for one in _triggers(table.name, declared, live)],
        "undeclared": [],
        "rows": None,
        "bytes": None,
    }


def _columns(wanted: Table | None, there: Table | None) -> Iterator[Document]:
    for name in {**(wanted.column if wanted else {}), **(there.column if there else {})}:
        ours = wanted.column.get(name) if wanted else None
        live = there.column.get(name) if there else None
        state = THEIRS
        if ours:
            is_other = live and (ours[2:] != live[2:])
            state = MISSING if not live else OTHER if is_other else OK
        column = live or ours
        assert column
        yield {"state": state, "declared": None, **_column(column)} | (
            {"declared": _column(ours)} if state == OTHER and ours else {}
        )


def _column(column: Column) -> Document:
    return {
        "name": as_name(column.name),
        "type": as_name(column.type),
        "key": column.key,
        "notnull": column.notnull,
        "default": plain(column.default, 200),
        "generated": bool(column.generated),
    }


def _foreign_keys(wanted: Table | None, there: Table | None) -> Iterator[Document]:
    declared = {reference(key): key for key in (wanted.foreign_keys if wanted else ())}
    live = {reference(key): key for key in (there.foreign_keys if there else ())}
    for found in sorted(declared | live, key=lambda one: one.columns):
        yield _foreign_key(declared.get(found), live.get(found))


def _foreign_key(ours: ForeignKey | None, live: ForeignKey | None) -> Document:
    key = live or ours
    assert key
    state = THEIRS
    if ours:
        is_other = live and (live.on_delete, live.on_update) != (ours.on_delete, ours.on_update)
        state = MISSING if not live else OTHER if is_other else OK
    return {
        "state": state,
        "columns": [as_name(one) for one in key.columns],
        "table": as_name(key.other_table),
        "other_columns": [as_name(one or "") for one in key.other_columns],
        "on_delete": key.on_delete,
        "on_update": key.on_update,
        "declared": f"ON DELETE {ours.on_delete}" if ours and state == OTHER else None,
    }


def _indexes(
    table: str, declared: Schema, live: Schema, served: Mapping[str, list[Document]]
) -> Iterator[Document]:
    ours = {fold(one.name): one for one in declared.indexes_on(table) if one.origin == "c"}
    there = {fold(one.name): one for one in live.indexes_on(table)}
    for name in ours | there:
        wanted, found = ours.get(name), there.get(name)
        state = THEIRS
        if wanted:
            others = differences(declared, live, [name])
            is_other = any(isinstance(one, OtherIndex) for one in others)
            state = OTHER if is_other else MISSING if others else OK
        elif found and found.origin != "c":
            state = OK
        index = found if found and state != MISSING else wanted
        assert index
        yield {
            "name": as_name(index.name),
            "state": state,
            "on": _spelled(index),
            "declared": _spelled(wanted) if wanted and state == OTHER else None,
            "origin": index.origin,
            "queries": served.get(name, []),
            "bytes": None,
        }


def _spelled(index: Index) -> str:
    columns = ", ".join(map(str, index.columns))
    where = f" WHERE {index.where}" if index.where else ""
    return plain(f"{'UNIQUE ' if index.unique else ''}({columns}){where}")


def _triggers(table: str, declared: Schema, live: Schema) -> Iterator[Any]:
    both = dict(declared.triggers) | dict(live.triggers)
    return (one for one in both.values() if fold(one.table) == fold(table))


def _served(declared: Declared) -> Mapping[str, list[Document]]:
    """The statements of `checks/` by each index that they use."""
    found: dict[str, list[Document]] = {}
    for file in chain(declared.checks["plans"], declared.checks["writes"]):
        for index in indexes_of(file):
            found.setdefault(fold(index), []).append(statement(file))
    return found


def statement(file: CheckFile) -> Document:
    """A statement of `checks/plans/` or `checks/writes/`."""
    return {
        "name": file.name,
        "file": f"{file.kind}/{file.path.name}",
        "uses": indexes_of(file),
        "sql": "\n".join(
            line for line in file.statements[0].splitlines() if not line.startswith("--")
        ),
    }


def column_comments(sql: str) -> Mapping[str, str]:
    """The comment at the end of the line of each column, by folded name."""
    found = {}
    for line in sql.splitlines()[1:]:
        definition, dashes, comment = line.partition("--")
        words = definition.split()
        if dashes and words:
            found[fold(words[0].strip('"`[],'))] = comment.strip()
    return found
