"""The statements of `checks/plans/` and `checks/writes/` by name: what `verify` proves is what the
application runs.
"""

import sqlite3
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from ..declared.declaration import Declared, declared
from ..errors import UsageError
from ..schema.text import parameters

if TYPE_CHECKING:  # synchronous callers do not need it
    import aiosqlite
    from aiosqlite.context import Result


class Query(NamedTuple):
    """A query of `checks/plans/` or a statement of `checks/writes/`: the stem of its file name, its
    title, its text and the names of its parameters.
    """

    name: str
    title: str
    sql: str
    parameters: frozenset[str]

    @overload
    def execute(self, connection: sqlite3.Connection, /, **values: Any) -> sqlite3.Cursor: ...

    @overload
    def execute(
        self, connection: "aiosqlite.Connection", /, **values: Any
    ) -> "Result[aiosqlite.Cursor]": ...

    def execute(self, connection: Any, /, **values: Any) -> Any:
        """Return `connection.execute(...)` for this query; with aiosqlite, await the result.

        Raises UsageError when the values do not match its parameters.
        """
        self.check(values)
        return connection.execute(self.sql, values)

    def check(self, values: Mapping[str, Any]) -> None:
        """Raise UsageError unless these are values for exactly its parameters. SQLite would notice
        a missing one, but not an extra one, such as a limit for a query without LIMIT.
        """
        if values.keys() != self.parameters:
            takes = ", ".join(sorted(self.parameters)) or "nothing"
            given = ", ".join(sorted(values)) or "nothing"
            raise UsageError(f"query {self.name} takes {takes}; given: {given}.")


def queries_of(declared: Declared, kind: str = "plans") -> Mapping[str, Query]:
    """All queries by name, or all files of another kind. Raises UsageError when a file of `checks/`
    cannot be read.
    """
    return {
        file.path.stem: Query(
            file.path.stem, file.name, file.statements[0], parameters(file.statements[0])
        )
        for file in declared.all_checks[kind]
    }


def find(name: str, among: Mapping[str, Query]) -> Query:
    """The query with that name. Raises UsageError when there is none."""
    if name not in among:
        raise UsageError(f"there is no query {name}. There are: {', '.join(among)}.")
    return among[name]


@cache
def bundled_declaration() -> Declared:
    """The declaration for applications without a schema of their own, read once in a process."""
    return declared()


@cache
def queries() -> Mapping[str, Query]:
    """The queries of this package's `checks/plans/`, by name."""
    return queries_of(bundled_declaration())


def query(name: str) -> Query:
    """The query in `checks/plans/NAME.sql`. Raises UsageError when there is none."""
    return find(name, queries())


@cache
def _writes() -> Mapping[str, Query]:
    return queries_of(bundled_declaration(), "writes")


def write(name: str) -> Query:
    """The statement in `checks/writes/NAME.sql`."""
    return _writes()[name]
