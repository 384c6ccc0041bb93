"""Rebuild a table in its declared form, with all its content, by the procedure of the SQLite
documentation ("ALTER TABLE", "Making Other Kinds Of Table Schema Changes").
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from ..declared.declaration import Declared
from ..errors import CannotReconcileError
from ..schema.create_table import body, unqualified
from ..schema.difference import OtherTable
from ..schema.kept_uniques import recollated, with_collations
from ..schema.model import Index, Schema, Trigger
from ..schema.scratch import scratch
from ..schema.table_changes import MissingColumn
from ..schema.text import (
    fold,
    is_utf8,
    quoted,
    string,
    utf8,
    without_attached_name,
    without_comments,
)
from .broken_rows import guards_of, rowid_of, values_of
from .by_text import by_text, free
from .lost_values import conversions, loss_guards
from .made_again import again, in_one, passing_over, triggers_again
from .statement import Statement

BUILT_IN = {"BINARY", "NOCASE", "RTRIM"}
"""The collations of SQLite itself."""


def rebuild(
    declared: Declared, live: Schema, step: str, difference: OtherTable, text: str
) -> list[Statement]:
    """The statements that rebuild a table with the new `text`, keeping every row and everything
    that was added to it.

    Raises CannotReconcileError where something would be lost.
    """
    return _Rebuild(declared, live, step, difference).statements(text)


class _Rebuild:
    """The rebuild of one table: what is declared, and what the application added."""

    def __init__(self, declared: Declared, live: Schema, step: str, difference: OtherTable) -> None:
        self.declared = declared
        self.live, self.step, self.difference = live, step, difference
        self.wanted, self.table = difference.declared, difference.live
        self.name = free(f"new_{fold(self.wanted.name)}", live)
        self.rowid = rowid_of(self.table)

    def statements(self, text: str) -> list[Statement]:
        self._prove_fills()
        start, _ = body(text)
        create = self._sayable(unqualified(text[start:], self.table.name), f"table {self.name}")
        return [
            *self._copied(create),
            *self._replaced(),
            *self._spelled(text, is_other=create != text[start:]),
            *self._made_again(),
        ]

    def _copied(self, create: str) -> Iterator[Statement]:
        old, new = quoted(self.table.name), quoted(self.name)
        yield Statement(
            f"CREATE TABLE {new} {create};",
            "\n  ".join(
                [f"table {self.table.name} is rebuilt:", *map(str, self.difference.changes)]
            ),
            guards=guards_of(self.declared, self.live, self.difference),
            tells=tuple(conversions(self.wanted, self.table)),
        )
        if self.table.autoincrement and self.wanted.autoincrement:
            yield Statement(
                "INSERT INTO sqlite_sequence (name, seq) SELECT"
                f" {string(self.name)}, seq FROM sqlite_sequence"
                f" WHERE name = {string(self.table.name)};",
                "AUTOINCREMENT continues where it was",
                only_rows=True,
            )
        values = values_of(self.declared, self.wanted, self.table)
        columns = ", ".join(map(quoted, values))
        selected = ", ".join(values.values())
        if self.rowid and self._keeps_rowids():
            columns, selected = f"{self.rowid}, {columns}", f"{self.rowid}, {selected}"
        yield Statement(
            f"INSERT INTO {new} ({columns}) SELECT {selected} FROM {old};",
            "every row, with its rowid",
            table=self.table.name,
            rewrites=True,
            only_rows=True,
        )

    def _replaced(self) -> Iterator[Statement]:
        old, new = quoted(self.table.name), quoted(self.name)
        # DROP TABLE would delete the statistics of ANALYZE, which remain true.
        yield from self._statistics(self.table.name, self.name)
        yield Statement(
            f"DROP TABLE {old};",
            "all that it had is in the new one",
            guards=tuple(loss_guards(self.wanted, self.table, self.name, self.rowid)),
        )
        # This setting keeps RENAME from editing references to the table: they all mean this one.
        yield Statement("PRAGMA legacy_alter_table = ON;", "views and triggers stay as they are")
        triggers, indexes = self._not_parsed()
        for trigger in triggers:
            reason = f"RENAME cannot parse trigger {trigger.name}, which names an attached database"
            yield Statement(f"DROP TRIGGER {quoted(trigger.name)};", reason)
        rename = Statement(
            f"ALTER TABLE {new} RENAME TO {quoted(self.wanted.name)};",
            "the new one takes its place",
            (
                ("tables_rebuilt", self.wanted.name),
                *(
                    ("columns_added", f"{self.wanted.name}.{change.column.name}")
                    for change in self.difference.changes
                    if isinstance(change, MissingColumn)
                ),
            ),
        )
        yield from passing_over(indexes, [rename])
        for trigger in triggers:
            yield from again(self.live, trigger)
        yield Statement("PRAGMA legacy_alter_table = OFF;", "for that RENAME alone")
        yield from self._statistics(self.name, self.wanted.name)

    def _not_parsed(self) -> tuple[list[Trigger], list[Index]]:
        """What stays and cannot be parsed here, so that RENAME would fail: the triggers whose text
        names an attached database, and the indexes with a collation of the application. (Over
        these, RENAME passes from SQLite 3.38 on.)
        """
        table = fold(self.table.name)
        triggers = [
            one
            for one in self.live.triggers.values()
            if fold(one.table) != table and without_attached_name(one.sql) != one.sql
        ]
        indexes = [
            one
            for one in self.live.indexes.values()
            if fold(one.table) != table
            and one.sql
            and not {column.collation for column in one.columns} <= BUILT_IN
        ]
        return triggers, indexes

    def _statistics(self, old: str, new: str) -> Iterator[Statement]:
        for statistics in self.live.statistics:
            yield Statement(
                f"UPDATE {statistics} SET tbl = {string(new)} WHERE tbl = {string(old)};",
                "the statistics of ANALYZE stay true",
                only_rows=True,
            )

    def _spelled(self, text: str, *, is_other: bool) -> Iterator[Statement]:
        """Restore the text as it was written, where SQLite could not take it before the table had
        its final name.
        """
        if is_other:
            start, _ = body(text)
            named = f"CREATE TABLE {quoted(self.wanted.name)} {text[start:]}"
            reason = "and its text is as it was written"
            yield from by_text(self.live, "table", self.wanted.name, named, Statement("", reason))

    def _made_again(self) -> Iterator[Statement]:
        """Recreate what DROP TABLE deleted."""
        collation_of = recollated(self.live, self.table, self.wanted)
        for index in self.live.indexes_on(self.table.name):
            if index.sql:
                self._sayable(index.sql, f"index {index.name}")
                if index.unique and fold(index.name) not in self.declared.schema.indexes:
                    index = index._replace(sql=with_collations(index.sql, collation_of))
                yield from again(self.live, index, self.wanted.name)
        yield from triggers_again(self.live, self.table.name)

    def _sayable(self, sql: str, what: str) -> str:
        """The text of something that determines stored content, as it can be run: with a letter in
        place of each byte in its comments that is not UTF-8; outside comments, Python cannot pass
        such bytes to SQLite.
        """
        if not is_utf8(without_comments(sql)):
            self._refuse(f"{self.difference}; and the text of {what} is not UTF-8: recreate it")
        return in_one(utf8(sql))

    def _keeps_rowids(self) -> bool:
        """Whether the rowid is copied, unless that happens anyway, as the INTEGER PRIMARY KEY."""
        if self.table.without_rowid or self.wanted.without_rowid:
            return False
        (key,) = self.wanted.folded_key if self.wanted.has_rowid_key else ("",)
        return key not in self.table.column

    def _prove_fills(self) -> None:
        """Try the expressions of sql/upgrades/ on an empty table of the old form."""
        with closing(scratch()) as connection:
            connection.execute(self.table.sql)
            for (table, _), fill in self.declared.fills.items():
                if table == fold(self.wanted.name) and fill.column not in self.table.column:
                    try:
                        connection.execute(
                            f"SELECT {fill.expression} FROM {quoted(self.table.name)}"
                        )
                    except sqlite3.Error as error:
                        self._refuse(f"{fill.path} has no value for {table}.{fill.column}: {error}")

    def _refuse(self, reason: str) -> None:
        raise CannotReconcileError(self.step, [reason])
