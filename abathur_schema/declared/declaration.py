"""The declared schema: `sql/`, run on an in-memory database and read back."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..schema import text as sql_text
from ..schema.difference import differences, kind_of
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.text import fold
from .check_files import Checks, read_checks
from .sql_files import SqlFiles, read_statements
from .upgrades import Fills, Upgrade, read_upgrades

PRAGMA = "pragma"
SCHEMA_STEPS = ("core", "core-indexes", "memory", "memory-indexes")
STEPS = (PRAGMA, *SCHEMA_STEPS)
"""The steps in the order of `init`; each has a file of its name in `sql/`."""

SEARCH = "search"
"""The optional step. It belongs to a database from the run on that chooses it: `invoke search`."""

IN_THE_FILE = "journal_mode"
"""The only setting stored in the file, set once by the step `pragma`; all others end with their
connection (SQLite documentation, "PRAGMA Statements")."""

MILESTONES = {
    "Milestone 1": ("core", "core-indexes"),
    "Milestone 2": ("core", "core-indexes", "memory", "memory-indexes"),
}


def bundled(name: str) -> Path:
    """The path of `sql`, `checks` or `tasks.py`: inside the package in a wheel, else beside it."""
    package = Path(__file__).parent.parent
    inside = package / name
    return inside if inside.exists() else package.parent / name


MINIMUM_SQLITE = (3, 37, 0)
"""The first version with pragma_table_list, which distinguishes tables from virtual tables."""


class Setting(NamedTuple):
    """A line of `sql/pragma.sql`; `value` is what SQLite reads back after `statement`."""

    name: str
    value: str
    statement: str


NO_FTS5 = f"this SQLite ({sqlite3.sqlite_version}) has no FTS5, which full-text search needs"

Settings = tuple[Setting, ...]


class DeclaredFields(NamedTuple):
    """What is read of `sql/`."""

    schema: Schema
    creates: Mapping[str, str]
    contents: Mapping[str, str]
    steps: Mapping[str, tuple[str, ...]]
    settings: Settings
    upgrades: tuple[Upgrade, ...]
    fills: Fills
    former_indexes: frozenset[str] = frozenset()
    own: Path | None = None
    left_out: str = ""


class Declared(DeclaredFields):
    """What must exist: the schema, the statement that creates each object, and the step it is in.

    `creates` is keyed by the folded name of an object; `contents` has the statement that fills a
    virtual table; `steps` lists, for each step, the names its files declare, in order.
    `former_indexes` are the folded names of indexes that older forms had. `own` is the folder of a
    schema of one's own, if any; `left_out` says why the optional step of a database is
    not among the steps, if so.
    """

    @property
    def names(self) -> list[str]:
        """The folded names of all objects, in the order of the files."""
        return [name for names in self.steps.values() for name in names]

    @cached_property
    def all_checks(self) -> Checks:
        """The files of `checks/` by kind, read on first use. Raises UsageError naming the file."""
        return read_checks(bundled("checks"), self.own and self.own / "checks")

    @property
    def checks(self) -> Checks:
        """The same without those whose `step:` is not among the steps. Raises UsageError."""
        return {
            kind: tuple(
                file for file in files if "step" not in file.says or file.says["step"] in self.steps
            )
            for kind, files in self.all_checks.items()
        }

    def chosen(self, live: Schema) -> "Declared":
        """What is declared for a database with the schema `live`: the optional step belongs to it
        if any of its objects exists as declared. Where this SQLite lacks what the step needs,
        `left_out` says so.
        """
        virtual = [table for table in live.tables.values() if table.kind == "virtual"]
        if SEARCH in self.steps or not (virtual or live.views or live.triggers):
            return self
        if not _has_fts5():
            words = {
                token.text
                for token in sql_text.tokens((bundled("sql") / f"{SEARCH}.sql").read_text())
            }
            is_ours = any(fold(table.name) in words for table in virtual)
            return self._replace(left_out=NO_FTS5) if is_ours else self
        whole = declared(self.own, search=True)
        names = whole.steps[SEARCH]
        is_chosen = len(differences(whole.schema, live, names)) < len(names)
        return whole if is_chosen else self

    def objects(self, step: str) -> tuple[str, ...]:
        """The objects that `step` creates, in order: its own tables, each after its parents.

        SQLite refuses every write to a table whose parent is missing, so a step creates the parents
        too, whichever file of `sql/` declares them (schema.md, "Parents first").
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


def declared(own: Path | None = None, *, search: bool = False) -> Declared:
    """Read `sql/`, and on top of it the `sql/` of the folder `own`; with `search`, the file of the
    optional step as well.

    Raises UsageError, naming the file, when there is an error in it, and when this SQLite lacks
    what the optional step needs.
    """
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        needed = ".".join(map(str, MINIMUM_SQLITE))
        raise UsageError(
            f"SQLite {sqlite3.sqlite_version} is too old; {needed} or newer is needed. Use a Python"
            " that is linked with a newer SQLite; nothing was touched."
        )
    ours = bundled("sql")
    if search and not _has_fts5():
        raise UsageError(f"{NO_FTS5}. Use a Python whose SQLite has it. Nothing was touched.")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        steps = (*SCHEMA_STEPS, SEARCH) if search else SCHEMA_STEPS
        made = SqlFiles(connection, steps)
        # Tables first: the file of an index may sort before the file of its table.
        order = sorted(steps, key=lambda step: step.endswith("indexes"))
        for step in order:
            made.run(ours / f"{step}.sql", step)
        for step, path in _own_files(own, order):
            made.run_on_top(path, step)
        folders = [folder / "upgrades" for folder in (ours, own and own / "sql") if folder]
        upgrades, fills, former, indexes = read_upgrades(folders, steps)
        schema = read_schema(connection)
        texts = read_statements(ours / f"{PRAGMA}.sql")
        settings = tuple(_setting(connection, text) for text in texts)
    for fill in fills.values():
        if fill.column not in getattr(schema.tables.get(fill.table), "column", ()):
            raise UsageError(f"{fill.path} fills a column that sql/ does not declare. Fix it.")
    tables = {**schema.tables}
    for key in former:
        if not (table := tables.get(key.table)):
            raise UsageError(f"{key.path} is about a table that sql/ does not declare. Fix it.")
        known = table.former_keys | {key.reference}
        tables[key.table] = table._replace(former_keys=known)
    schema = schema._replace(tables=tables)
    parts = made.creates, made.contents, made.steps
    whole = Declared(schema, *parts, settings, upgrades, fills, indexes, own)
    if own:
        _check_order(whole, own)
    return whole


def _check_order(declared: Declared, own: Path) -> None:
    """Raise UsageError when an index or trigger of `own` comes before what it is on."""
    there: set[str] = set()
    for step, names in declared.steps.items():
        there.update(declared.objects(step))
        for name in names:
            on = declared.schema.indexes.get(name) or declared.schema.triggers.get(name)
            if on and fold(on.table) not in there:
                file, home = own / "sql" / f"{step}.sql", declared.step_of(on.table)
                raise UsageError(
                    f"{file}: {kind_of(on)} {on.name} is on {on.table}, which the later step {home}"
                    " creates. Declare it in the file of that step, or of one after it."
                )


@cache
def _has_fts5() -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        found = "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"
        return connection.execute(found).fetchone() is not None


def _own_files(own: Path | None, steps: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """The files in the `sql/` of a schema of one's own, in order, each with its step. Raises
    UsageError when that is not a folder, or has a file that would be ignored.
    """
    if own is None:
        return
    if not any((own / name).is_dir() for name in ("sql", "checks")):
        raise UsageError(
            f"{own} is not a schema: it has neither a folder sql nor a folder checks. Name a"
            " folder that has one, with --schema DIR; nothing was touched."
        )
    known = [f"{step}.sql" for step in steps]
    for path in sorted((own / "sql").glob("*.sql")):
        if path.name not in known:
            raise UsageError(
                f"{path} would be ignored. A schema of one's own declares tables and indexes in"
                f" {', '.join(known)}; the settings of connections are those of"
                f" {bundled('sql') / f'{PRAGMA}.sql'}."
            )
    for step, name in zip(steps, known, strict=True):
        if (own / "sql" / name).exists():
            yield step, own / "sql" / name


def _setting(connection: sqlite3.Connection, statement: str) -> Setting:
    """A setting, with its value as SQLite reports it (`synchronous = NORMAL` reads back as 1)."""
    match sql_text.tokens(statement):
        case [("word", "pragma"), ("word", name), ("sign", "="), value, ("sign", ";")]:
            pass
        case _:
            raise UsageError(f"sql/pragma.sql: not of the form PRAGMA name = value;\n{statement}")
    connection.execute(statement)
    expected = connection.execute(f"PRAGMA {name}").fetchone()[0]
    # An in-memory database keeps the journal mode "memory", whatever is set.
    return Setting(name, value.text if name == IN_THE_FILE else str(expected), statement)


VERIFY = "verify"
PLAN = "plan"
RESTORE = "restore"
DOCS = "docs"
BACKUP = "backup"


def chain(task: str, declared: Declared) -> tuple[str, ...]:
    """The steps that a task runs, in order."""
    return (PRAGMA, *declared.steps, VERIFY) if task == "init" else (task,)
