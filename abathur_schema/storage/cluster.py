"""A connection to a cluster that is asked like one to a file.

It is an in-memory SQLite database with the cluster's schema: what is about the schema is answered
there, what is about rows is asked of the cluster. A transaction first reads and then writes; what
it writes is sent as one request when it is committed, and refused as a whole if the schema, or
anything that it has read, has changed meanwhile.
"""

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, NoReturn

from ..errors import BatchError, ConflictError, UnknownOutcomeError
from ..place import Address
from ..schema.scratch import exactly
from ..schema.text import string, tokens
from .catalog import FINGERPRINT, OBJECTS, SUMMARY, remake
from .deeds import (
    HELD_OPEN,
    IN_MEMORY,
    LEFT_OUT,
    OF_A_FILE,
    READ_FIRST,
    REBUILD,
    TOO_LARGE,
    Deeds,
    deeds_in,
)
from .deterministic import same_everywhere
from .exact_values import Parameters, decoded, digest, filled, lossless
from .rows import Results, Rows
from .rqlite import Level, Nodes

LARGEST_READ = 1_000_000
"""How many characters a result may have that a transaction reads, and counts on."""


def open_cluster(
    address: Address, level: Level = "strong", *, read_only: bool = False
) -> "ClusterConnection":
    """Connect to a cluster. `level` is the consistency of reads outside of a transaction; inside,
    all nodes have agreed on what is read. Raises NoLeaderError.
    """
    connection = sqlite3.connect(
        ":memory:",
        isolation_level=None,
        check_same_thread=False,
        factory=ClusterConnection,
        cached_statements=0,  # preparing one anew asks the authorizer
    )
    connection.level = level
    connection.read_only = read_only
    connection.text_factory = exactly
    connection.begin_with(Nodes(address))
    return connection


class ClusterConnection(sqlite3.Connection):
    """A connection to a cluster; `open_cluster` makes one."""

    level: Level = "strong"
    read_only = False
    nodes: Nodes
    left_out = LEFT_OUT

    def begin_with(self, nodes: Nodes) -> None:
        """Read the schema, and be ready."""
        self.nodes = nodes
        self._writes: list[str] = []
        self._reads: list[tuple[str, str]] = []
        self._is_open = self._defines = False
        self._results = Results(self)
        self._deeds: dict[str, Deeds] = {}
        self._seen: list[tuple[int, str | None]] = []
        self._schema = self._summary = ""
        self._is_stale = False
        self.set_authorizer(self._note)
        self.refresh()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._is_open

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A cursor that has run nothing yet."""
        cursor = Rows(self)
        cursor.row_factory = self.row_factory
        return cursor

    def execute(self, sql: str, parameters: Any = ()) -> Rows:
        """Run a statement. Raises what SQLite raises; ConflictError, NoLeaderError,
        UnknownOutcomeError where the cluster cannot do it now, and BatchError where it never can.
        """
        return self.run(sql, parameters, self.cursor())

    def executemany(self, sql: str, rows: Iterable[Any]) -> Rows:
        """Run a statement for each of `rows`."""
        cursor: Rows = self.cursor()
        return cursor.executemany(sql, rows)

    def executescript(self, script: str) -> NoReturn:
        """Not possible: it would commit what is open."""
        raise BatchError(HELD_OPEN)

    def begin(self) -> None:
        """Begin a transaction; one that changes the schema, on that which the cluster has now."""
        if self.isolation_level is None or self._is_stale:
            self.refresh()
        self._here("BEGIN")
        self._is_open = True

    def commit(self) -> None:
        """Send what the transaction has written, as one request."""
        if not self._is_open:
            return
        try:
            if self._writes:
                self._send()
            self._here("COMMIT")
            if self._defines:
                self._schema, self._summary = self._fingerprint()
        finally:
            self.rollback()

    def rollback(self) -> None:
        """Forget what the transaction would have written."""
        if self._is_open and super().in_transaction:
            self._here("ROLLBACK")
        self._is_open = self._defines = False
        self._writes, self._reads = [], []

    def close(self) -> None:
        """Close it; what is not committed is forgotten."""
        self.nodes.close()
        super().close()

    def refresh(self) -> None:
        """Read the schema of the cluster again, if it has changed."""
        statements = [f"SELECT {FINGERPRINT}, {SUMMARY}", lossless(f"{OBJECTS} rowid", 4)]
        (((found, summary),), objects) = self.nodes.query_all(statements, "strong")
        self._is_stale, self._summary = False, summary
        if found == self._schema:
            return
        remake(self._here, [decoded(row) for row in objects])
        self._schema = found
        self._deeds.clear()

    def run(self, sql: str, parameters: Parameters, cursor: Rows) -> Rows:
        """Run a statement into a cursor."""
        found = tokens(sql)
        verb = found[0].text if found else ""
        cursor.is_pending, cursor.changed, cursor.last = False, -1, None
        if verb in ("begin", "savepoint", "release") and self.isolation_level is not None:
            raise BatchError(HELD_OPEN)
        if verb == "begin":
            self.begin()
        elif verb in ("commit", "end"):
            self.commit()
        elif verb == "rollback":
            self.rollback()
        elif verb == "pragma":
            words = [token.text for token in found if token.text not in ("main", "temp", ".")]
            return self._pragma(sql, words[1], cursor)
        elif verb == "explain":
            return self._explain(sql, parameters, cursor)
        elif verb:
            return self._statement(sql, parameters, cursor)
        return cursor

    def _pragma(self, sql: str, name: str, cursor: Rows) -> Rows:
        if name == "foreign_key_check":
            query = 'SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check'
            return self._statement(query, (), cursor)
        if name == "foreign_keys" and "off" in sql.lower().replace("0", "off"):
            raise BatchError(REBUILD)
        if name == "writable_schema" or (name == "schema_version" and "=" in sql):
            if self._is_open:
                self._writes.append(filled(sql))
        elif name not in IN_MEMORY:
            raise BatchError(OF_A_FILE.format(name))
        return self._into(cursor, sql, ())

    def _explain(self, sql: str, parameters: Parameters, cursor: Rows) -> Rows:
        names = [column[0] for column in self._here(sql, parameters).description]
        if self._is_open:
            return self._into(cursor, sql, parameters)
        (rows,) = self.nodes.query_all([filled(sql, parameters)], self.level)
        return self._results.give(cursor, names, rows)

    def _statement(self, sql: str, parameters: Parameters, cursor: Rows) -> Rows:
        try:
            deeds = self._deeds_of(sql, parameters)
        except sqlite3.OperationalError:
            if self._is_open:
                raise
            self.refresh()  # somebody else may have made the table
            deeds = self._deeds_of(sql, parameters)
        if deeds.writes or deeds.defines:
            return self._write(sql, parameters, cursor, deeds)
        if not deeds.reads:
            return self._into(cursor, sql, parameters)
        if self._writes and self.isolation_level is not None:
            raise BatchError(READ_FIRST)
        names = [column[0] for column in self._here(sql, parameters).description]
        text = filled(sql, parameters)
        wanted = lossless(text, len(names))
        if not self._is_open:
            (rows,) = self.nodes.query_all([wanted], self.level)
        else:
            found = digest(text, len(names))
            rows, ((seen,),) = self.nodes.query_all([wanted, f"SELECT {found}"], "strong")
            if len(seen) > LARGEST_READ:
                raise BatchError(TOO_LARGE)
            self._reads.append((found, seen))
        return self._results.give(cursor, names, [decoded(row) for row in rows])

    def _write(self, sql: str, parameters: Parameters, cursor: Rows, deeds: Deeds) -> Rows:
        if self.read_only:
            raise sqlite3.OperationalError("attempt to write a readonly database")
        text = filled(sql, parameters)
        if deeds.writes and not deeds.defines:
            text = same_everywhere(self._here, text, datetime.now(timezone.utc))
        if not self._is_open and self.isolation_level is not None:
            self.begin()
        if not self._is_open:
            (result,) = self.nodes.execute([text])
            cursor.changed = result.get("rows_affected", 0)
            cursor.last = result.get("last_insert_id")
            if deeds.defines:
                self.refresh()
            return cursor
        if deeds.defines:
            self._here(text)
            self._defines = True
        self._writes.append(text)
        cursor.is_pending = True
        return cursor

    def _send(self) -> None:
        """Send a transaction: first the conditions on which it was written, then its statements."""
        schema = (FINGERPRINT, self._schema) if self._defines else (SUMMARY, self._summary)
        conditions = [schema, *self._reads]
        guards = [
            f"SELECT iif({found} = {string(seen)}, 1, json('what was read has changed'))"
            for found, seen in conditions
        ]
        try:
            self.nodes.execute([*guards, *self._writes])
        except UnknownOutcomeError:
            if not self._defines or not self._is_done():
                raise
        except sqlite3.OperationalError as error:
            if guards and "malformed JSON" in str(error):
                raise ConflictError(
                    "what this transaction has read was changed: repeat it"
                ) from error
            raise
        finally:
            if any("writable_schema" in one for one in self._writes):
                self.nodes.execute(["PRAGMA writable_schema = RESET"])

    def _is_done(self) -> bool:
        """Whether a change of the schema took place whose answer was lost."""
        (((found,),),) = self.nodes.query_all([f"SELECT {FINGERPRINT}"], "strong")
        return bool(found == self._fingerprint()[0])

    def _deeds_of(self, sql: str, parameters: Parameters) -> Deeds:
        if (known := self._deeds.get(sql)) is None:
            self._seen = []
            self._here(f"EXPLAIN {sql}", parameters).close()
            known = self._deeds[sql] = deeds_in(sql, self._seen)
        return known

    def _note(self, action: int, first: str | None, *_: object) -> int:
        self._seen.append((action, first))
        return sqlite3.SQLITE_OK

    def _here(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run a statement on the schema in memory."""
        return sqlite3.Cursor(self).execute(sql, parameters)

    def _into(self, cursor: Rows, sql: str, parameters: Any) -> Rows:
        return cursor.fill(sql, parameters)

    def _fingerprint(self) -> tuple[str, str]:
        (found,) = self._here(f"SELECT {FINGERPRINT}, {SUMMARY}").fetchall()
        return str(found[0]), str(found[1])
