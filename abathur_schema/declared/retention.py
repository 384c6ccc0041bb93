"""Read `sql/retention/`: rules for what is old and may go, as SQL.

A file is a rule, of the file's name. Its first comment line says what goes; the `key: value` lines
below say `older-than:` how much (`90 days`), `with:` which tables have rows that hang on those that
go, and go before them, `memory-operation:` what the audit trail calls it, and `index:` by which
index the rows are found. Then comes one statement,
`DELETE FROM table WHERE condition;`, where `:before` is the time before which something is old:
ISO 8601, UTC, with a T. Texts of days order by it whatever separates the time, so that an index
finds them; the condition compares exactly, by `julianday`.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from sqlite_utils.db import ForeignKey

from ..errors import UsageError
from ..schema import text as sql_text
from ..schema.model import Schema
from ..schema.text import fold
from .declaration import Declared, bundled


class Rule(NamedTuple):
    """What goes from `table` (folded): the rows of which `condition` is true. `hanging` are the
    tables whose rows reference it, and go first.
    """

    path: Path
    says: str
    table: str
    condition: str
    older_than: timedelta
    hanging: tuple[str, ...]
    memory_operation: str | None

    @property
    def name(self) -> str:
        """What a user calls it."""
        return self.path.stem


UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6})\s*(h|d|w|hours?|days?|weeks?)")


def age(text: str) -> timedelta | None:
    """An age such as `12h`, `30d`, `8w` or `90 days`; None if it is none."""
    found = _AGE.fullmatch(text.strip().lower())
    return timedelta(**{UNITS[found[2][0]]: int(found[1])}) if found else None


def read_rules(declared: Declared) -> tuple[Rule, ...]:
    """The rules of `sql/retention/`, then those of a schema of one's own, each sorted by name.
    Raises UsageError naming the file at fault.
    """
    folders = [bundled("sql"), *([declared.own / "sql"] if declared.own else [])]
    rules: dict[str, Rule] = {}
    for folder in folders:
        for path in sorted((folder / "retention").glob("*.sql")):
            rule = _read(path, declared)
            if other := rules.get(rule.name):
                raise UsageError(f"{path} and {other.path} are both called {rule.name}. Rename it.")
            rules[rule.name] = rule
    return tuple(rules.values())


_DELETE = re.compile(r"DELETE\s+FROM\s+(\w+)\s+WHERE\s+(.+);", re.DOTALL | re.IGNORECASE)


def _read(path: Path, declared: Declared) -> Rule:
    says, keys, statements = sql_text.read(path)
    deletes = _DELETE.fullmatch(sql_text.bare(statements[0]))
    older_than = age(keys.get("older-than", ""))
    if len(statements) != 1 or not deletes or "before" not in sql_text.parameters(statements[0]):
        raise UsageError(
            f"{path} needs one statement, DELETE FROM table WHERE condition; with :before in it."
        )
    if older_than is None:
        raise UsageError(f"{path} needs `-- older-than: 90 days` at its top (or hours, weeks).")
    rule = Rule(
        path,
        says,
        fold(deletes[1]),
        deletes[2].strip(),
        older_than,
        tuple(fold(name.strip()) for name in keys.get("with", "").split(",") if name.strip()),
        keys.get("memory-operation"),
    )
    if rule.table not in declared.schema.tables:
        raise UsageError(f"{path} is about {rule.table}, which sql/ does not declare. Fix it.")
    for name in rule.hanging:
        if not any(references(declared.schema, name, rule.table)):
            raise UsageError(f"{path}: {name} has no foreign key to {rule.table}. Fix `with:`.")
    for name in (rule.table, *rule.hanging):
        table = declared.schema.tables[name]
        if table.without_rowid or "rowid" in table.column:
            raise UsageError(f"{path}: {name} has no rowid by which its rows could be removed.")
    return rule


def references(schema: Schema, table: str, parent: str) -> Iterator[ForeignKey]:
    """The foreign keys of `table` to `parent`; both names are folded."""
    found = schema.tables.get(table)
    for key in found.foreign_keys if found else ():
        if fold(key.other_table) == parent:
            yield key
