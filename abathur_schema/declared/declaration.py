"""The declared schema: `sql/` run on an in-memory database and read back."""

import sqlite3
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..schema import text as sql_text
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.text import fold
from .upgrades import Fills, Upgrade, read_upgrades

PRAGMA = "pragma"
SCHEMA_STEPS = ("core", "core-indexes", "memory", "memory-indexes")
STEPS = (PRAGMA, *SCHEMA_STEPS)
"""The steps in the order in which `init` runs them; each has a file of its name in `sql/`."""

IN_THE_FILE = "journal_mode"
"""The one setting that lives in the file: the step `pragma` sets it, once; all others are
forgotten when a connection closes (SQLite documentation, "PRAGMA Statements")."""

MILESTONES = {
    "Milestone 1": ("core", "core-indexes"),
    "Milestone 2": ("core", "core-indexes", "memory", "memory-indexes"),
}


def bundled(name: str) -> Path:
    """`sql`, `checks` or `tasks.py`: inside the package in a wheel, beside it in the checkout."""
    package = Path(__file__).parent.parent
    inside = package / name
    return inside if inside.exists() else package.parent / name


class Setting(NamedTuple):
    """One line of `sql/pragma.sql`; `value` is what SQLite reads back after `statement`."""

    name: str
    value: str
    statement: str


class Declared(NamedTuple):
    """What must exist: the schema, the statement that makes each object, and whose step it is.

    `creates` is keyed by the folded name of a table or index, `steps` gives for each step the
    names that its file declares, in the order of the file.
    """

    schema: Schema
    creates: Mapping[str, str]
    steps: Mapping[str, tuple[str, ...]]
    settings: tuple[Setting, ...]
    upgrades: tuple[Upgrade, ...]
    fills: Fills

    def objects(self, step: str) -> tuple[str, ...]:
        """What `step` makes, in order: its own tables, each after the tables that it references.

        SQLite refuses every write to a table whose parent is missing, so a step makes the
        parents too, wherever in `sql/` those are declared (schema.md, "Parents first").
        """
        ordered: dict[str, None] = {}

        def add(name: str) -> None:
            if name in ordered or name in path:
                return
            path.append(name)
            if table := self.schema.tables.get(name):
                for parent in sorted({fold(key.other_table) for key in table.foreign_keys}):
                    if parent in self.creates:
                        add(parent)
            path.pop()
            ordered[name] = None

        path: list[str] = []
        for name in self.steps[step]:
            add(name)
        return tuple(ordered)

    def step_of(self, name: str) -> str:
        """The step whose file declares the object `name`."""
        return next(step for step, names in self.steps.items() if fold(name) in names)


@cache
def declared() -> Declared:
    """Read `sql/`. Raises UsageError, with the file, when something in it is not right."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        creates: dict[str, str] = {}
        steps: dict[str, tuple[str, ...]] = {}
        # Tables first: an index file may stand before the file of its table.
        for step in sorted(SCHEMA_STEPS, key=lambda step: step.endswith("indexes")):
            made = {_create(connection, step, text): text for text in _statements(step)}
            steps[step] = tuple(made)
            creates.update(made)
        upgrades, fills, former = read_upgrades(bundled("sql") / "upgrades", SCHEMA_STEPS)
        schema = read_schema(connection)
        for fill in fills.values():
            if fill.column not in getattr(schema.tables.get(fill.table), "column", ()):
                raise UsageError(f"{fill.path} fills a column that sql/ does not declare. Mend it.")
        for key in former:
            if not (table := schema.tables.get(key.table)):
                raise UsageError(
                    f"{key.path} is about a table that sql/ does not declare. Mend it."
                )
            table.former_keys.add(key.reference)
        return Declared(
            schema=schema,
            creates=creates,
            steps={step: steps[step] for step in SCHEMA_STEPS},
            settings=tuple(_setting(connection, text) for text in _statements(PRAGMA)),
            upgrades=upgrades,
            fills=fills,
        )
    finally:
        connection.close()


def _statements(step: str) -> list[str]:
    path = bundled("sql") / f"{step}.sql"
    try:
        return [_with_its_comment(text) for text in sql_text.statements(path.read_text("utf-8"))]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Restore it, or mend it.") from error


def _with_its_comment(statement: str) -> str:
    """The statement and the comment right above it, without those further up."""
    lines = statement.splitlines()
    first = next(number for number, line in enumerate(lines) if line and line[:2] != "--")
    start = first
    while start and lines[start - 1].startswith("--"):
        start -= 1
    return "\n".join(lines[start:])


def _create(connection: sqlite3.Connection, step: str, statement: str) -> str:
    """Run one CREATE statement and return the folded name of what it made."""
    newest = "SELECT coalesce(max(rowid), 0) FROM sqlite_schema WHERE sql IS NOT NULL"
    before = connection.execute(newest).fetchone()[0]
    try:
        connection.execute(statement)
    except sqlite3.Error as error:
        raise UsageError(f"sql/{step}.sql: {error}, in:\n{statement}") from error
    made = connection.execute(
        "SELECT name FROM sqlite_schema WHERE rowid > ? AND sql IS NOT NULL"
        " AND type IN ('table', 'index') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'",
        (before,),
    ).fetchall()
    if len(made) != 1:
        raise UsageError(
            f"sql/{step}.sql: only CREATE TABLE and CREATE INDEX go here:\n{statement}"
        )
    return fold(made[0][0])


def _setting(connection: sqlite3.Connection, statement: str) -> Setting:
    """A setting is compared as SQLite says it (`synchronous = NORMAL` reads back as 1)."""
    match sql_text.tokens(statement):
        case [("word", "pragma"), ("word", name), ("sign", "="), value, ("sign", ";")]:
            pass
        case _:
            raise UsageError(f"sql/pragma.sql: not of the form PRAGMA name = value;\n{statement}")
    connection.execute(statement)
    expected = connection.execute(f"PRAGMA {name}").fetchone()[0]
    # A database in memory keeps journal mode "memory" whatever it is told.
    return Setting(name, value.text if name == IN_THE_FILE else str(expected), statement)


VERIFY = "verify"
PLAN = "plan"
RESTORE = "restore"
CHAINS = {"init": (*STEPS, VERIFY), **{name: (name,) for name in (*STEPS, VERIFY)}}
"""What each task that runs steps runs, in order."""
