"""The triggers of `sql/search.sql`: after every write, what is current is what can be found."""

import sqlite3
from contextlib import closing, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abathur_schema.declared.declaration import declared

NAMES = st.sampled_from(["a", "b"])
VERSIONS = st.integers(1, 3)
IDS = st.integers(1, 5)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"]),
            *(IDS, NAMES, NAMES, VERSIONS, st.integers(0, 1), st.sampled_from(["x", "y"])),
        ),
        st.tuples(
            st.sampled_from(["UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"]),
            *(IDS, st.sampled_from(["id", "version", "is_deleted", "key", "namespace", "value"])),
            *(VERSIONS, NAMES),
        ),
        st.tuples(st.just("DELETE"), IDS),
    ),
    max_size=30,
)


def _apply(connection: sqlite3.Connection, operation: tuple[Any, ...]) -> None:
    verb, number, *values = operation
    parameters: tuple[Any, ...] = (number,)
    if verb.startswith("INSERT"):
        sql = (
            f"{verb} INTO memory_entries (id, namespace, key, version, is_deleted, value,"
            " memory_type) VALUES (?, ?, ?, ?, ?, json_quote(?), 'semantic')"
        )
        parameters = (number, *values)
    elif verb.startswith("UPDATE"):
        column, small, name = values
        new = {"key": name, "namespace": name, "value": f'"{name}"', "is_deleted": small % 2}
        sql = f"{verb} memory_entries SET {column} = ? WHERE id = ?"
        parameters = (new.get(column, small), number)
    else:
        sql = "DELETE FROM memory_entries WHERE id = ?"
    with suppress(sqlite3.IntegrityError):  # refused, as it would be without the triggers
        connection.execute(sql, parameters)


@pytest.mark.parametrize("recursive", [False, True])
@given(operations=OPERATIONS)
def test_whatever_is_written_is_found(recursive: bool, operations: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for sql in declared(search=True).creates.values():
            connection.execute(sql)
        connection.execute(f"PRAGMA recursive_triggers = {recursive}")
        for operation in operations:
            _apply(connection, operation)
            current = connection.execute("SELECT * FROM memory_texts ORDER BY id").fetchall()
            found = connection.execute(
                "SELECT * FROM (SELECT rowid, namespace, paths, key, strings FROM memory_search)"
                " WHERE rowid IN (SELECT id FROM memory_entries) ORDER BY 1"
            ).fetchall()
            assert found == current
        connection.execute("INSERT INTO memory_search (memory_search) VALUES ('integrity-check')")
