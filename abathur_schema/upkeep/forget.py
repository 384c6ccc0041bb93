"""`forget`: what is old goes, by the rules of `sql/retention/`, in transactions so short that other
writers hardly notice.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..declared.declaration import Declared
from ..declared.retention import Rule
from ..interruption import stop_if_asked
from ..planning.statement import Statement
from ..progress import Progress
from ..schema.model import Schema
from ..schema.text import parameters, quoted, string
from .old_rows import condition_of, statements, still_old

SECONDS_HELD, PAUSE = 0.015, 0.025
"""How long a transaction may hold the lock, and the shortest pause after it. A writer that waits
looks again after 1, 2, 5, 10, 15, 20, 25, 25 and 25 ms (`sqliteDefaultBusyCallback` in SQLite's
source): one of these looks falls into the pause."""

LEAST, MOST = 50, 20_000
"""The fewest and the most rows of a transaction; in between, what the time allows."""


class Forgetting:
    """A rule at work. `gone` is the number of rows removed by what is committed, by table; `stays`
    are the rowids of rows that could not go, because something else refers to them.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        declared: Declared,
        live: Schema,
        rule: Rule,
        before: str,
        progress: Progress,
    ) -> None:
        self.gone: Counter[str] = Counter()
        self.stays: set[int] = set()
        self._connection = connection
        self._rule = rule
        self._before = before
        self._progress = progress
        self._size = LEAST
        self._version, self._looking = 0, 0.0
        self._has_triggers = bool(live.triggers.keys() - declared.creates.keys())
        self._trail: int | None = None
        (self._records,) = (
            file.statements[0]
            for file in declared.all_checks["writes"]
            if file.path.stem == "record-action"
        )
        self._record: dict[str, object] = dict.fromkeys(parameters(self._records))
        self._record["memory_operation_type"] = rule.memory_operation
        self._condition = condition_of(live, rule)
        self._still_old = still_old(live, rule)
        self._deletes = statements(live, rule)

    @property
    def statement(self) -> Statement:
        """What has taken effect: the rule's statement, which ran for some rows at a time."""
        rule = self._rule
        condition = rule.condition.replace(":before", string(self._before))
        counted = ", ".join(f"{number:,} of {table}" for table, number in self.gone.items())
        made = (("rows_deleted", f"{counted} forgotten"),)
        return Statement(f"DELETE FROM {rule.table} WHERE {condition};", rule.says, made)

    def run(self) -> None:
        """Remove what is old, until nothing more can go: a row may go once those below it have.
        Raises Interrupted between two transactions.
        """
        while True:
            done = self.gone.total()
            rows = self._rows(self._condition)
            self._looking = self._seconds_whatever_the_rows(rows)
            place = 0
            while place < len(rows):
                self._progress.at(f"{place:,} of {len(rows):,} rows")
                batch = rows[place : place + self._size]
                self._remove(batch)
                place += len(batch)
            if self.gone.total() == done:
                self.stays.update(self._rows(f"({self._rule.condition}\n)"))
                return

    def _rows(self, condition: str) -> list[int]:
        """The rowids of rows that may go, and were not refused yet, in the order of their rowids:
        earlier versions of a memory first.
        """
        self._version = self._data_version()  # first: what is written meanwhile counts as later
        sql = f"SELECT rowid FROM {quoted(self._rule.table)} WHERE {condition}"
        found = self._connection.execute(sql, {"before": self._before})
        return sorted(row for (row,) in found if row not in self.stays)

    def _data_version(self) -> int:
        """What changes when another connection has written (SQLite documentation, "PRAGMA
        data_version").
        """
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _may_go(self, rows: Sequence[int]) -> list[int]:
        """Those of the rows that may still go."""
        values = {"rows": json.dumps(rows), "before": self._before}
        return [row for (row,) in self._connection.execute(self._still_old, values)]

    def _seconds_whatever_the_rows(self, rows: Sequence[int]) -> float:
        """The part of a look that it takes however few the rows: a rule may have to read what all
        of the waiting tasks need. Of the processor, which others on this machine do not change.
        """
        if len(rows) <= LEAST:
            return 0.0  # one transaction has all of them
        times = []
        for number in (1, LEAST):
            started = time.thread_time()
            self._may_go(rows[:number])
            times.append(time.thread_time() - started)
        one, least = times
        return max(0.0, one - (least - one) / (LEAST - 1))

    def _remove(self, rows: Sequence[int]) -> None:
        """Remove those of the rows that are still old, and what hangs on them."""
        try:
            while not self._in_one_transaction(rows):
                pass
        except sqlite3.IntegrityError:  # a foreign key or a trigger of the application
            if len(rows) == 1:
                self.stays.update(rows)
                return
            middle = len(rows) // 2
            self._remove(rows[:middle])
            self._remove(rows[middle:])

    def _in_one_transaction(self, rows: Sequence[int]) -> bool:
        """Whether the rows are gone: if more hangs on them than one transaction should remove, only
        some of that is.
        """
        gone: Counter[str] = Counter()
        most, is_whole, trail = self._size, True, self._trail
        with self._transaction() as others_wrote:
            going = self._may_go(rows) if others_wrote else rows
            values = {"rows": json.dumps(going), "most": most}
            for table, sql in self._deletes:
                number = self._connection.execute(sql, values).rowcount
                gone[table] += number
                is_whole = table == self._rule.table or number < most
                if not is_whole:
                    break
            if gone.total():
                trail = self._write_trail(self.gone + gone)
        self.gone += gone  # only now it is committed, and so is the row of the trail
        self._trail = trail
        return is_whole

    @contextmanager
    def _transaction(self) -> Iterator[bool]:
        """A transaction, and whether others have written since the rows were found (a trigger of
        the application may, with each row that goes). If they have, it must look again, and removes
        more rows the longer that takes: otherwise the looks alone would hold the lock for longer in
        all.
        """
        connection = self._connection
        stop_if_asked()
        connection.execute("BEGIN IMMEDIATE")
        started, looking = time.monotonic(), 0.0
        try:
            others_wrote = self._has_triggers or self._data_version() != self._version
            looking = self._looking if others_wrote else 0.0
            yield others_wrote
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            held = time.monotonic() - started
            fitting = int(self._size * max(SECONDS_HELD, 2 * looking) / max(held, 1e-6))
            least = LEAST * max(1, int(looking / SECONDS_HELD))
            self._size = min(max(least, min(fitting, 2 * self._size)), MOST)
            time.sleep(max(PAUSE, held))

    def _write_trail(self, gone: Counter[str]) -> int | None:
        """Write how many rows this rule has removed into the audit trail, one row for each run;
        return its id.
        """
        rule = self._rule
        data = json.dumps({"rule": rule.name, "before": self._before, "rows": dict(gone)})
        if self._trail is not None:
            self._connection.execute(UPDATE_TRAIL, (data, self._trail))
            return self._trail
        values = {**self._record, "action_type": "forget", "action_data": data}
        return self._connection.execute(self._records, values).lastrowid


UPDATE_TRAIL = "UPDATE audit SET action_data = ? WHERE id = ?"
