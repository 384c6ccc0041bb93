"""A table made anew in its declared form, with all that it has, by the procedure of the SQLite
documentation ("ALTER TABLE", "Making Other Kinds Of Table Schema Changes").
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from sqlite_utils.create_table_parser import parse_uniques

from .connection import scratch
from .create_table import Clause, body, definitions, plain, with_commas
from .declared import Declared
from .difference import OtherTable
from .errors import CannotReconcileError
from .guards import column_guards, constraint_guards, loss_guards, name_of_row, rowid_guards
from .schema import Schema, Table, read_schema
from .sql_text import TOKEN, fold, quoted, string, tokens, unquoted
from .statement import Guard, Statement
from .table_changes import MissingColumn, folded, reference, table_changes


def rebuild(declared: Declared, live: Schema, step: str, difference: OtherTable) -> list[Statement]:
    """The statements that make a table anew and keep every row and all that was added to it.

    Raises CannotReconcileError where something would be lost.
    """
    return _Rebuild(declared, live, step, difference).statements()


class _Rebuild:
    """One table made anew: what is declared, and what the application added to it."""

    def __init__(self, declared: Declared, live: Schema, step: str, difference: OtherTable) -> None:
        self.declared, self.fills = declared.schema, declared.fills
        self.live, self.step, self.difference = live, step, difference
        self.wanted, self.table = difference.declared, difference.live
        self.name = _free(f"new_{fold(self.wanted.name)}", live)
        self.rowid = next(
            (word for word in ("rowid", "_rowid_", "oid") if word not in self.table.column), ""
        )

    def statements(self) -> list[Statement]:
        create = self._create()
        self._prove(create)
        self._prove_fills()
        return [*self._copied(create), *self._replaced(), *self._made_again()]

    def _copied(self, create: str) -> Iterator[Statement]:
        old, new = quoted(self.table.name), quoted(self.name)
        yield Statement(
            f"CREATE TABLE {new} {create};",
            "\n  ".join(
                [f"table {self.table.name} is made anew:", *map(str, self.difference.changes)]
            ),
            guards=tuple(self._guards()),
        )
        if self.table.autoincrement and self.wanted.autoincrement:
            yield Statement(
                "INSERT INTO sqlite_sequence (name, seq) SELECT"
                f" {string(self.name)}, seq FROM sqlite_sequence"
                f" WHERE name = {string(self.table.name)};",
                "AUTOINCREMENT goes on where it was",
                only_rows=True,
            )
        values = dict(self._values())
        columns = ", ".join(map(quoted, values))
        selected = ", ".join(values.values())
        if self.rowid and not self.table.without_rowid and not self._has_own_rowid():
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
        # DROP TABLE would take along what ANALYZE found, which stays true.
        yield from self._statistics(self.table.name, self.name)
        yield Statement(
            f"DROP TABLE {old};",
            "all that it had is in the new one",
            guards=tuple(loss_guards(self.wanted, self.table, self.name, self.rowid)),
        )
        # With this setting a RENAME leaves alone what names the table; all of it means this one.
        yield Statement("PRAGMA legacy_alter_table = ON;", "views and triggers stay as they are")
        yield Statement(
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
        yield Statement("PRAGMA legacy_alter_table = OFF;", "for that RENAME alone")
        yield from self._statistics(self.name, self.wanted.name)

    def _statistics(self, old: str, new: str) -> Iterator[Statement]:
        for statistics in self.live.statistics:
            yield Statement(
                f"UPDATE {statistics} SET tbl = {string(new)} WHERE tbl = {string(old)};",
                "what ANALYZE found stays true",
                only_rows=True,
            )

    def _made_again(self) -> Iterator[Statement]:
        """What DROP TABLE took along."""
        for index in self.live.indexes_on(self.table.name):
            if index.sql:
                reason = f"index {index.name} was there"
                yield Statement(_ended(index.sql), reason, table=self.wanted.name)
        for trigger in self.live.triggers.values():
            if fold(trigger.table) == fold(self.table.name):
                yield Statement(_ended(trigger.sql), f"trigger {trigger.name} was there")

    def _values(self) -> Iterator[tuple[str, str]]:
        """The columns that are copied, each with the expression of its value."""
        for name, column in self.wanted.column.items():
            there = self.table.column.get(name)
            fill = self.fills.get((fold(self.wanted.name), name))
            if there:
                yield column.name, quoted(there.name)
            elif fill:
                yield column.name, fill.expression
        for name, column in self.table.column.items():
            if name not in self.wanted.column and not column.generated:
                yield column.name, quoted(column.name)

    def _has_own_rowid(self) -> bool:
        """Whether the rowid is copied as a column, the INTEGER PRIMARY KEY, anyway."""
        (key,) = self.wanted.folded_key if self.wanted.has_rowid_key else ("",)
        return key in self.table.column

    def _guards(self) -> Iterator[Guard]:
        row = name_of_row(self.table, self.rowid)
        values = dict(self._values())
        yield from column_guards(self.wanted, self.table, values, row)
        yield from rowid_guards(self.wanted, self.table, row)
        yield from constraint_guards(self.live, self.difference, values, row)

    def _create(self) -> str:
        """The text of the new table from its first parenthesis on."""
        sql = self.wanted.sql
        start, end = body(sql)
        columns, constraints = self._extra_columns(), list(self._extra_constraints())
        first = next((one.start for one in definitions(sql) if not one.column), None)
        if columns and first is not None:
            before = "".join(f"{text},\n    " for text in columns)
            sql = sql[:first] + before + sql[first:]
            end += len(before)
            columns = []
        after = "".join(f"    , {text}\n" for text in (*columns, *constraints))
        return sql[start:end] + after + sql[end:]

    def _extra_columns(self) -> list[str]:
        extra = [
            one
            for one in definitions(self.table.sql)
            if one.column and fold(one.column) not in self.wanted.column
        ]
        if any(one.has("primary") for one in extra):
            self._refuse(str(self.difference))
        return [plain(one.text) for one in extra]

    def _extra_constraints(self) -> Iterator[str]:
        for check in self.table.check_constraints:
            if check.expression not in self.wanted.checks and self._is_declared(check.column):
                yield plain(check.sql)
        yield from self._extra_uniques()
        known = {reference(key) for key in self.wanted.foreign_keys}
        for definition in definitions(self.table.sql):
            for clause in definition.clauses:
                keyword = "references" if definition.column else "foreign"
                if clause.keyword == keyword and self._is_declared(definition.column):
                    columns, parent = self._reference(definition.column, clause.text)
                    if (columns, *parent) not in known:
                        yield _of_table(definition.column, clause)

    def _extra_uniques(self) -> Iterator[str]:
        conflicts = {
            folded(column.name for column in unique.columns): unique.conflict
            for unique in parse_uniques(with_commas(self.table.sql))
        }
        declared = self.declared.uniques_of(self.wanted.name)
        for index in self.live.indexes_on(self.table.name):
            compared = tuple(fold(column.compared) for column in index.columns)
            names = folded(column.name for column in index.columns)
            alone = len(names) == 1 and names[0] not in self.wanted.column
            if index.origin != "u" or compared in declared or (alone and self._is_inline(names[0])):
                continue
            columns = ", ".join(f"{quoted(c.name)} COLLATE {c.collation}" for c in index.columns)
            conflict = conflicts.get(names, "")
            yield f"UNIQUE ({columns})" + (f" ON CONFLICT {conflict}" if conflict else "")

    def _is_inline(self, column: str) -> bool:
        found = (one for one in definitions(self.table.sql) if fold(one.column) == column)
        return any(one.has("unique") for one in found)

    def _is_declared(self, column: str) -> bool:
        """Of a constraint in the definition of another column, that definition takes care."""
        return not column or fold(column) in self.wanted.column

    def _reference(self, column: str, clause: str) -> tuple[tuple[str, ...], tuple[object, ...]]:
        """What a REFERENCES clause says, in the form of `reference`."""
        words = tokens(clause)
        at = words.index(("word", "references"))
        parent = unquoted(words[at + 1].text)
        lists = [_names(clause_part) for clause_part in re.findall(r"\(([^()]*)\)", clause)]
        columns = (fold(column),) if column else lists.pop(0)
        there = self.live.tables.get(fold(parent))
        key = lists[0] if lists else folded(there.primary_key if there else ())
        return columns, (fold(parent), key)

    def _prove(self, create: str) -> None:
        """Make it in memory: it must be as declared, and have all that the old one has."""
        with closing(scratch()) as connection:
            try:
                connection.execute(f"CREATE TABLE {quoted(self.wanted.name)} {create}")
            except sqlite3.Error as error:
                self._refuse(f"{self.difference}; and it cannot be made anew: {error}")
            made = read_schema(connection)
        new = made.tables[fold(self.wanted.name)]
        wrong = [str(one) for one in table_changes(self.declared, made, self.wanted, new)]
        wrong += [
            f"column {name} would be lost"
            for name, column in self.table.column.items()
            if name not in self.wanted.column and new.column.get(name) != column
        ]
        uniques = self.live.uniques_of(self.table.name) - made.uniques_of(new.name)
        lost: set[object] = {
            *(self.table.checks - new.checks),
            *(_targets(self.table) - _targets(new)),
        }
        lost |= uniques - {folded(self.wanted.primary_key)}  # which is unique anyway
        wrong += [f"constraint {one} would be lost" for one in lost]
        if wrong:
            self._refuse(f"{self.difference}; and it cannot be made anew: {'; '.join(wrong)}")

    def _prove_fills(self) -> None:
        """Try the expressions of sql/upgrades/ on an empty table like the old one."""
        with closing(scratch()) as connection:
            connection.execute(self.table.sql)
            for (table, _), fill in self.fills.items():
                if table == fold(self.wanted.name) and fill.column not in self.table.column:
                    try:
                        connection.execute(
                            f"SELECT {fill.expression} FROM {quoted(self.table.name)}"
                        )
                    except sqlite3.Error as error:
                        self._refuse(f"{fill.path} has no value for {table}.{fill.column}: {error}")

    def _refuse(self, reason: str) -> None:
        raise CannotReconcileError(self.step, [reason])


def _ended(sql: str) -> str:
    """The statement with its semicolon, which a comment at its end must not swallow."""
    return f"{sql}\n;" if "--" in sql else f"{sql};"


def _of_table(column: str, clause: Clause) -> str:
    """A foreign key as a constraint of the table, its name kept, if it stands at a `column`."""
    if not column:
        return clause.text
    words = (match for match in TOKEN.finditer(clause.text) if match.lastgroup == "word")
    at = next(match.start() for match in words if match.group().lower() == "references")
    return f"{clause.text[:at]}FOREIGN KEY ({quoted(column)}) {clause.text[at:]}"


def _targets(table: Table) -> frozenset[object]:
    return frozenset((folded(key.columns), fold(key.other_table)) for key in table.foreign_keys)


def _names(text: str) -> tuple[str, ...]:
    return tuple(fold(unquoted(name)) for name in text.split(","))


def _free(name: str, live: Schema) -> str:
    while name in {*live.tables, *live.indexes, *live.views}:
        name += "_"
    return name
