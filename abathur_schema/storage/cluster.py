"""A connection to a cluster that is asked like one to a file.

It is an in-memory SQLite database with the cluster's schema: what is about the schema is answered
there, what is about rows is asked of the cluster. A transaction first reads and then writes; what
it writes is sent as one request when it is committed, and refused as a whole if the schema, or
anything that it has read, has changed meanwhile.
"""

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ..errors import BatchError, ConflictError, NoLeaderError, UnknownOutcomeError
from ..place import Address
from ..schema.scratch import exactly
from ..schema.text import Token, tokens
from .batch import Batch
from .catalog import FINGERPRINT, OBJECTS, SUMMARY, remake
from .deeds import (
    IN_MEMORY,
    LEFT_OUT,
    NOT_KNOWN_YET,
    OF_A_FILE,
    OF_PAGES,
    READ_FIRST,
    TOO_LARGE,
    Deeds,
    deeds_in,
    refuse,
)
from .deterministic import refuse_unequal, same_everywhere
from .exact_values import Parameters, decoded, digest, filled, lossless
from .rows import Results, Rows, WithoutFile
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


class ClusterConnection(WithoutFile):
    """A connection to a cluster; `open_cluster` makes one."""

    level: Level = "strong"
    read_only = False
    nodes: Nodes
    left_out = LEFT_OUT

    def begin_with(self, nodes: Nodes) -> None:
        """Read the schema, and be ready."""
        self.nodes = nodes
        self._batch: Batch | None = None
        self._results = Results(self)
        self._deeds: dict[str, Deeds] = {}
        self._seen: list[tuple[int, str]] | None = None
        self._schema = self._summary = ""
        self._is_stale = False
        self.set_authorizer(self._note)
        self.refresh()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._batch is not None

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

    def enforces_keys(self) -> bool:
        """Whether the nodes enforce foreign keys, as the leader says."""
        (((found,),),) = self.nodes.query_all(
            ["SELECT foreign_keys FROM pragma_foreign_keys"], "weak"
        )
        return bool(found)

    def begin(self) -> None:
        """Begin a transaction; one that changes the schema, on that which the cluster has now."""
        if self.isolation_level is None or self._is_stale:
            self.refresh()
        self._here("BEGIN")
        self._batch = Batch()

    def commit(self) -> None:
        """Send what the transaction has written, as one request."""
        batch = self._batch
        if batch is None:
            return
        try:
            if batch.writes:
                batch.send(self.nodes, self._schema, self._summary)
            self._done(batch)
        except ConflictError:
            self._is_stale = True  # it may be the schema that has changed
            raise
        except UnknownOutcomeError as error:
            if not batch.defines:
                raise
            self._look(error)
            self._done(batch)
        finally:
            self.rollback()

    def _done(self, batch: Batch) -> None:
        self._here("COMMIT")
        if batch.defines:
            self._schema, self._summary = self._fingerprint()

    def rollback(self) -> None:
        """Forget what the transaction would have written."""
        if self._batch and super().in_transaction:
            self._here("ROLLBACK")
        self._batch = None

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
        words = [one for one in tokens(sql) if one.text not in ("main", "temp", ".", ";")]
        verb = words[0].text if words else ""
        cursor.empty()
        refuse(words, is_lent=self.isolation_level is not None)
        if verb == "begin":
            self.begin()
        elif verb in ("commit", "end"):
            self.commit()
        elif verb == "rollback":
            self.rollback()
        elif verb == "pragma" and len(words) > 1:
            return self._pragma(sql, words[1].text, cursor)
        elif verb == "explain":
            return self._explain(sql, parameters, cursor)
        elif verb:
            return self._statement(sql, parameters, cursor)
        return cursor

    def _pragma(self, sql: str, name: str, cursor: Rows) -> Rows:
        if name == "foreign_key_check":
            query = 'SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check'
            return self._statement(query, (), cursor)
        if name == "writable_schema" or (name == "schema_version" and "=" in sql):
            if self._batch:
                self._batch.writes.append(filled(sql))
        elif name not in IN_MEMORY or name in OF_PAGES:
            raise BatchError(OF_A_FILE.format(f"PRAGMA {name}"))
        return cursor.fill(sql)

    def _explain(self, sql: str, parameters: Parameters, cursor: Rows) -> Rows:
        names = [column[0] for column in self._here(sql, parameters).description]
        if self._batch:
            return cursor.fill(sql, parameters)
        (rows,) = self.nodes.query_all([filled(sql, parameters)], self.level)
        return self._results.give(cursor, names, rows)

    def _statement(self, sql: str, parameters: Parameters, cursor: Rows) -> Rows:
        try:
            return self._ask(sql, parameters, cursor)
        except sqlite3.OperationalError as error:
            # Somebody else may have changed the schema. A write that SQLite refuses is not done.
            before = self._schema
            if self._batch or type(error) is not sqlite3.OperationalError:
                raise
            self.refresh()
            if self._schema == before:
                raise
        return self._ask(sql, parameters, cursor)

    def _ask(self, sql: str, parameters: Parameters, cursor: Rows) -> Rows:
        deeds = self._deeds_of(sql, parameters)
        if deeds.writes or deeds.defines:
            return self._write(sql, parameters, cursor, deeds)
        if not deeds.reads:
            return cursor.fill(sql, parameters)
        batch = self._batch
        if batch and batch.writes and self.isolation_level is not None:
            raise BatchError(READ_FIRST)
        names = [column[0] for column in self._here(sql, parameters).description]
        text = filled(sql, parameters)
        if batch is None:
            (rows,) = self.nodes.query_all([lossless(text, len(names))], self.level)
        else:
            # Each node decides by what was read, also when it starts again.
            text = same_everywhere(self._here, text, datetime.now(timezone.utc))
            found = digest(text, len(names))
            wanted = [lossless(text, len(names)), f"SELECT {found}"]
            rows, ((seen,),) = self.nodes.query_all(wanted, "strong")
            if len(seen) > LARGEST_READ:
                raise BatchError(TOO_LARGE)
            batch.reads.append((found, seen))
        return self._results.give(cursor, names, [decoded(row) for row in rows])

    def _write(self, sql: str, parameters: Parameters, cursor: Rows, deeds: Deeds) -> Rows:
        if self.read_only:
            raise sqlite3.OperationalError("attempt to write a readonly database")
        text = filled(sql, parameters)
        if deeds.defines:
            refuse_unequal(self._here, text)
        else:
            text = same_everywhere(self._here, text, datetime.now(timezone.utc))
        if self._batch is None and self.isolation_level is not None:
            self.begin()
        if self._batch is None:
            if Token("word", "returning") in tokens(sql) and not deeds.defines:
                raise BatchError(NOT_KNOWN_YET)
            (result,) = self.nodes.execute([text])
            cursor.changed = result.get("rows_affected", 0)
            cursor.last = result.get("last_insert_id")
            if deeds.defines:
                self.refresh()
            return cursor
        if deeds.defines:
            self._here(text)
            self._batch.defines = True
        self._batch.writes.append(text)
        cursor.is_pending = Token("word", "returning") in tokens(sql)
        return cursor

    def _look(self, error: UnknownOutcomeError) -> None:
        """Raise an error unless the change of the schema took place whose answer was lost; one that
        did not, cannot any more when the schema has changed.
        """
        try:
            (((found,),),) = self.nodes.query_all([f"SELECT {FINGERPRINT}"], "strong")
        except NoLeaderError:
            raise error from None
        if found == self._schema:
            raise NoLeaderError(f"{error}, and nothing was done") from error
        if found != self._fingerprint()[0]:
            raise error

    def _deeds_of(self, sql: str, parameters: Parameters) -> Deeds:
        if (known := self._deeds.get(sql)) is None:
            seen = self._seen = []
            try:
                self._here(f"EXPLAIN {sql}", parameters).close()
            finally:
                self._seen = None
            known = self._deeds[sql] = deeds_in(sql, seen)
        return known

    def _note(self, action: int, first: str | None, second: str | None, *_: object) -> int:
        if self._seen is not None:
            self._seen.append((action, first or second or ""))
        return sqlite3.SQLITE_OK

    def _here(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run a statement on the schema in memory."""
        return sqlite3.Cursor(self).execute(sql, parameters)

    def _fingerprint(self) -> tuple[str, str]:
        (found,) = self._here(f"SELECT {FINGERPRINT}, {SUMMARY}").fetchall()
        return str(found[0]), str(found[1])
