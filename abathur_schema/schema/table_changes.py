"""The differences of a live table from its declaration, as values, one class for each kind."""

from collections.abc import Iterator
from itertools import product

from sqlite_utils.db import ForeignKey

from .clauses import collations, key_name
from .create_table import definitions
from .model import CheckConstraint, Column, Schema, Table, folded, reference, spelled
from .text import fold


class MissingColumn:
    """A declared column that does not exist."""

    __match_args__ = ("column",)

    def __init__(self, column: Column) -> None:
        self.column = column

    def __str__(self) -> str:
        return f"column {self.column.name} is missing"


class OtherColumn:
    """A column with another type, NOT NULL or DEFAULT, or that is computed in another way."""

    __match_args__ = ("declared", "live")

    def __init__(self, declared: Column, live: Column) -> None:
        self.declared, self.live = declared, live

    def __str__(self) -> str:
        return "; ".join(self._lines())

    def _lines(self) -> Iterator[str]:
        name, wanted, there = self.declared.name, self.declared, self.live
        if wanted.type != there.type:
            yield f"column {name} has type {there.type or '(none)'}; declared is {wanted.type}"
        if wanted.notnull != there.notnull:
            yield f"column {name} " + (
                "may be NULL; declared is NOT NULL"
                if wanted.notnull
                else "is NOT NULL; declared may be NULL"
            )
        if wanted.default != there.default:
            yield (
                f"column {name} has DEFAULT {there.default or '(none)'};"
                f" declared is {wanted.default or '(none)'}"
            )
        if wanted.generated != there.generated:
            told = (one.generated or "not generated" for one in (there, wanted))
            yield f"column {name} is " + "; declared is ".join(told)


class OtherClauses:
    """Another COLLATE or ON CONFLICT on a column or a table constraint."""

    __match_args__ = ("of", "declared", "live")

    def __init__(self, of: str, declared: tuple[str, ...], live: tuple[str, ...]) -> None:
        self.of, self.declared, self.live = of, declared, live

    def __str__(self) -> str:
        return (
            f"{self.of} has"
            f" {', '.join(self.live) or 'neither COLLATE nor ON CONFLICT'};"
            f" declared is {', '.join(self.declared) or 'without'}"
        )


class OtherPrimaryKey:
    """A different PRIMARY KEY, in what determines equality (`Schema.key_of`)."""

    __match_args__ = ("declared", "live")

    def __init__(self, declared: tuple[str, ...], live: tuple[str, ...]) -> None:
        self.declared, self.live = declared, live

    def __str__(self) -> str:
        return f"PRIMARY KEY is ({', '.join(self.live)}); declared is ({', '.join(self.declared)})"


class OtherOption:
    """AUTOINCREMENT, WITHOUT ROWID or STRICT present but not declared, or the reverse."""

    __match_args__ = ("option", "is_declared")

    def __init__(self, option: str, is_declared: bool) -> None:
        self.option, self.is_declared = option, is_declared

    def __str__(self) -> str:
        return (
            f"{self.option} is missing"
            if self.is_declared
            else f"it is {self.option}; declared without"
        )


class MissingCheck:
    """A declared CHECK that does not exist."""

    __match_args__ = ("check",)

    def __init__(self, check: CheckConstraint) -> None:
        self.check = check

    def __str__(self) -> str:
        return f"CHECK ({self.check.expression}) is missing"


class MissingUnique:
    """A declared UNIQUE that does not exist; `columns` are folded, with COLLATE unless BINARY."""

    __match_args__ = ("columns",)

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns

    def __str__(self) -> str:
        return f"UNIQUE ({', '.join(self.columns)}) is missing"


class MissingForeignKey:
    """A declared foreign key that does not exist."""

    __match_args__ = ("key",)

    def __init__(self, key: ForeignKey) -> None:
        self.key = key

    def __str__(self) -> str:
        return f"foreign key {spelled(self.key)} is missing"


class OtherAction:
    """A foreign key with another ON DELETE or ON UPDATE."""

    __match_args__ = ("key", "event", "live")

    def __init__(self, key: ForeignKey, event: str, live: str) -> None:
        self.key, self.event, self.live = key, event, live

    def __str__(self) -> str:
        return (
            f"foreign key {spelled(self.key)} has {self.event.upper().replace('_', ' ')}"
            f" {self.live}; declared is {getattr(self.key, self.event)}"
        )


class FormerForeignKey:
    """A foreign key of an older form that would reject rows which are now allowed; or one of a
    declared column whose parent table does not exist, so that SQLite refuses every write.
    """

    __match_args__ = ("key", "is_dangling")

    def __init__(self, key: ForeignKey, is_dangling: bool) -> None:
        self.key, self.is_dangling = key, is_dangling

    def __str__(self) -> str:
        why = (
            "references a table that does not exist"
            if self.is_dangling
            else "exists; it is no longer declared"
        )
        return f"foreign key {spelled(self.key)} {why}"


TableChange = (
    MissingColumn
    | OtherColumn
    | OtherClauses
    | OtherPrimaryKey
    | OtherOption
    | MissingCheck
    | MissingUnique
    | MissingForeignKey
    | OtherAction
    | FormerForeignKey
)


def may_be_violated(change: TableChange) -> bool:
    """Whether rows that exist may violate the declared form."""
    match change:
        case OtherAction() | FormerForeignKey():
            return False
        case OtherColumn(declared, live):
            return declared.notnull and not live.notnull
    return True


def table_changes(
    declared: Schema, live: Schema, wanted: Table, table: Table
) -> Iterator[TableChange]:
    """The changes that turn `table` of `live` into `wanted` of `declared`."""
    has_other_clauses = wanted.clauses != table.clauses
    for name, column in wanted.column.items():
        if there := table.column.get(name):
            if column[2:] != there[2:]:  # all but its name and its place in the PRIMARY KEY
                yield OtherColumn(column, there)
            if has_other_clauses:
                yield from _clauses(name, wanted, table)
        else:
            yield MissingColumn(column)
    if has_other_clauses:
        parts = definitions(wanted.sql)
        of_columns = collations(parts)
        for one in parts:
            for name in (key_name(one, clause, of_columns) for clause in one.clauses):
                yield from _clauses(name, wanted, table)
    keys = declared.key_of(wanted), live.key_of(table)
    if folded(keys[0]) != folded(keys[1]):
        yield OtherPrimaryKey(*keys)
    for option in ("autoincrement", "without_rowid", "strict"):
        is_declared = getattr(wanted, option)
        if is_declared != getattr(table, option):
            yield OtherOption(option.upper().replace("_", " "), is_declared)
    for check in sorted(wanted.check_constraints, key=lambda check: check.expression):
        if check.expression not in table.checks:
            yield MissingCheck(check)
    for columns in sorted(declared.uniques_of(wanted.name) - live.uniques_of(wanted.name)):
        yield MissingUnique(columns)
    yield from _foreign_keys(declared, live, wanted, table)


def _clauses(name: str, wanted: Table, table: Table) -> Iterator[OtherClauses]:
    declared, there = (one.clauses.get(name, ()) for one in (wanted, table))
    if declared != there:
        of = f"column {wanted.column[name].name}" if name in wanted.column else name
        yield OtherClauses(of, declared, there)


def _foreign_keys(
    declared: Schema, live: Schema, wanted: Table, table: Table
) -> Iterator[MissingForeignKey | OtherAction | FormerForeignKey]:
    there = {key: reference(key) for key in sorted(table.foreign_keys, key=spelled)}
    for key, of_key in there.items():
        parents = (live.tables, declared.tables)
        dangles = not any(fold(key.other_table) in tables for tables in parents)
        of_ours = all(name in wanted.column for name in of_key.columns)
        if dangles and of_ours:
            yield FormerForeignKey(key, is_dangling=True)
        elif of_key in wanted.former_keys:
            yield FormerForeignKey(key, is_dangling=False)
    for key in sorted(wanted.foreign_keys, key=spelled):
        of_wanted = reference(key)
        found = [key for key, of_key in there.items() if of_key == of_wanted]
        if not found:
            yield MissingForeignKey(key)
        for one, event in product(found, ("on_delete", "on_update")):
            if getattr(one, event) != getattr(key, event):
                yield OtherAction(key, event, getattr(one, event))
