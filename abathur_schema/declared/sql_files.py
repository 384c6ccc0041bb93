"""Run the files of `sql/`, one after the other, on an in-memory database."""

import sqlite3
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..errors import UsageError
from ..schema import text as sql_text
from ..schema.create_table import plain
from ..schema.difference import differences, kind_of
from ..schema.reading import read_schema
from ..schema.text import fold, quoted


def read_statements(path: Path) -> list[str]:
    """The statements of a file, each with the comment directly above it. Raises UsageError."""
    try:
        return [_with_its_comment(text) for text in sql_text.statements(path.read_text("utf-8"))]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Restore it, or fix it.") from error


def _with_its_comment(statement: str) -> str:
    """The statement and the comment directly above it, without earlier ones."""
    lines = statement.splitlines()
    start = _first_line(lines)
    while start and lines[start - 1].startswith("--"):
        start -= 1
    return "\n".join(lines[start:])


def _first_line(lines: Sequence[str]) -> int:
    """The index of the line on which the statement itself begins."""
    return next(number for number, line in enumerate(lines) if line and line[:2] != "--")


class SqlFiles:
    """What the files that have run so far declare; the result is in `connection`.

    `creates` has the statement for each object, by folded name, `contents` the statement that fills
    a virtual table (the INSERT below it), and `steps` the names that each step creates.
    """

    def __init__(self, connection: sqlite3.Connection, steps: Sequence[str]) -> None:
        self.connection = connection
        self.creates: dict[str, str] = {}
        self.contents: dict[str, str] = {}
        self.steps: dict[str, tuple[str, ...]] = dict.fromkeys(steps, ())
        self._homes: dict[str, Path] = {}

    def run(self, path: Path, step: str) -> None:
        """Run the file that declares the objects of `step`. Raises UsageError naming the file."""
        for text in read_statements(path):
            if not self._fills(path, text, step):
                self.steps[step] += (self._create(path, text),)

    def run_on_top(self, path: Path, step: str) -> None:
        """Run a file of a schema of one's own. It may repeat a declaration in the same form, and
        add columns to it. Raises UsageError naming both files where they contradict each other.
        """
        for text in read_statements(path):
            match sql_text.tokens(text):
                case [("word", "alter"), ("word", "table"), (_, name), ("word", "add"), *_]:
                    self._add_column(path, text, name.strip('"'))
                case [("word", "create"), *rest] if name := self._again(rest):
                    self._hold_same(path, text, name)
                case _ if not self._fills(path, text, step):
                    self.steps[step] += (self._create(path, text),)

    def _fills(self, path: Path, statement: str, step: str) -> bool:
        """Run the statement if it is the INSERT below a virtual table; return whether it was."""
        match [*islice(sql_text.each_token(statement), 3)]:
            case [("word", "insert"), ("word", "into"), (_, spelled)]:
                name = spelled.strip('"')
            case _:
                return False
        if self.steps[step][-1:] != (name,):
            return False
        if ("word", "virtual") not in [*islice(sql_text.each_token(self.creates[name]), 2)]:
            return False
        self._run(path, statement)
        self.contents[name] = statement
        return True

    def _create(self, path: Path, statement: str) -> str:
        """Run one CREATE statement and return the folded name of the new object."""
        newest = "SELECT coalesce(max(rowid), 0) FROM sqlite_schema WHERE sql IS NOT NULL"
        before = self.connection.execute(newest).fetchone()[0]
        self._run(path, statement)
        made = self.connection.execute(
            "SELECT s.name FROM sqlite_schema AS s LEFT JOIN pragma_table_list(s.name) AS t"
            " WHERE s.rowid > ? AND s.sql IS NOT NULL AND t.type IS NOT 'shadow'"
            "   AND s.name NOT LIKE 'sqlite!_%' ESCAPE '!'",
            (before,),
        ).fetchall()
        if len(made) != 1:
            raise UsageError(f"{path}: only CREATE statements go here:\n{statement}")
        name = fold(made[0][0])
        self.creates[name], self._homes[name] = statement, path
        return name

    def _run(self, path: Path, statement: str) -> None:
        try:
            self.connection.execute(statement)
        except sqlite3.Error as error:
            raise UsageError(f"{path}: {error}, in:\n{statement}") from error

    def _again(self, rest: Sequence[sql_text.Token]) -> str:
        """The name that a CREATE statement declares once more; empty when it is new."""
        words = ("unique", "virtual", "table", "index", "view", "trigger", "if", "not", "exists")
        name = next((text.strip('"') for _, text in rest if text not in words), "")
        return name if name in self.creates else ""

    def _hold_same(self, path: Path, statement: str, name: str) -> None:
        before = read_schema(self.connection)
        kind = kind_of(before.named(name)).split()[-1]
        self._run(path, "SAVEPOINT again")
        self._run(path, f"DROP {kind} {quoted(name)}")
        self._run(path, statement)
        other = differences(before, read_schema(self.connection), [name])
        self._run(path, "ROLLBACK TO again")
        self._run(path, "RELEASE again")
        if other:
            raise UsageError(
                f"{path} declares {name} in another form than {self._homes[name]}: {other[0]}."
                " Remove it, or give it another name; columns of a declared table are added by"
                " ALTER TABLE ... ADD COLUMN."
            )

    def _add_column(self, path: Path, statement: str, table: str) -> None:
        home = self._homes.get(table)
        if home is None:
            raise UsageError(f"{path} adds a column to {table}, which sql/ does not declare.")
        try:
            self.connection.execute(plain(statement))
        except sqlite3.Error as error:
            raise UsageError(
                f"{path}: {error}, in:\n{statement}\n{table} is declared in {home}."
            ) from error
        *_, added = self.connection.execute(f"PRAGMA table_xinfo({quoted(table)})")
        _, column, _, not_null, default, _, hidden = added
        if not_null and default is None and not hidden:
            raise UsageError(
                f"{path}: column {column} of {table} is NOT NULL and has no DEFAULT, so code that"
                f" does not know it could not insert rows. Give it a DEFAULT:\n{statement}"
            )
        (text,) = self.connection.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND lower(name) = ?", (table,)
        ).fetchone()
        lines = self.creates[table].splitlines()
        self.creates[table] = "\n".join([*lines[: _first_line(lines)], f"{text};"])
