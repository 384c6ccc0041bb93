"""`verify`: prove that a database is what `sql/` declares and that `checks/` hold.

Strictly read-only. All checks see one state of the live database and block no writer (see
`storage/snapshot.py`); constraints and query plans are tried on an in-memory copy of its schema.
There SQLite plans without the statistics of ANALYZE and without the application's indexes, so that
a plan reflects what is declared, not today's rows; where the two differ, that is reported as
information.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from ..causes import NOT_OPENED
from ..declared.declaration import Declared, Settings
from ..diagnosis import recognize
from ..errors import NOT_ENFORCED, AbathurError
from ..place import Place
from ..progress import Progress
from ..schema.difference import differences
from ..schema.model import Schema
from ..schema.reading import read_schema
from ..schema.stand_ins import is_lacking, number_of_rows, with_stand_ins
from ..schema.text import fold, quoted
from ..schema.undeclared import redundant, undeclared, undeclared_indexes, without_index
from ..schema.usability import may_be_unusable, unusable
from ..storage.connection import left_out, undisturbed, unsettled
from ..storage.foreign_keys import all_hold
from ..storage.snapshot import Job, map_file, side_by_side, snapshot
from . import full_text, row_checks
from . import trials as trial
from .findings import BY_INIT, EACH, IN_SQL, LONGEST_FINDING, Check, Part, check, draw, joined
from .on_copy import on_copy
from .targets import TARGETS, within


class Proof(NamedTuple):
    """The checks, the live schema that they saw (None if it cannot be read), and the number of rows
    of each table (None where a check of the file failed: reading it might never end).
    """

    checks: list[Check]
    live: Schema | None
    rows: Mapping[str, int] | None


def verify(database: Place, declared: Declared, progress: Progress) -> Proof:
    """Run all checks.

    Raises sqlite3.OperationalError when the database is locked or may not be opened: then nothing
    is known about it, right or wrong.
    """
    return undisturbed(database, lambda: _verify(database, declared, progress))


def _verify(database: Place, declared: Declared, progress: Progress) -> Proof:
    found: list[Check] = []
    try:
        with snapshot(database, declared.settings) as connections:
            live = read_schema(connections[0])
            found.extend(_all(connections, declared.chosen(live), live, progress))
            is_sound = not any(one.kind == "holds" and one.status == "fail" for one in found)
            return Proof(found, live, dict(_rows(connections[0], live)) if is_sound else None)
    except AbathurError:
        raise
    except Exception as error:  # whatever the reason, what cannot be read is not proven
        if (cause := recognize(error, database)) in NOT_OPENED:
            raise
        finding = f"{error}: {cause.cause}"
        unread = check("the database can be read", "holds", iter([finding]), remedy=cause.remedy)
        return Proof([*found, unread], None, None)


def _rows(connection: sqlite3.Connection, live: Schema) -> Iterator[tuple[str, int]]:
    """The number of rows of each table."""
    for table in live.tables.values():
        if table.kind == "table" and len(table.name) < LONGEST_FINDING:
            with suppress(sqlite3.DatabaseError):  # damaged, as the checks report
                yield table.name, number_of_rows(connection, table.name)


def _all(
    connections: Sequence[sqlite3.Connection], wanted: Declared, live: Schema, progress: Progress
) -> Iterator[Check]:
    connection = connections[0]
    apart = left_out(connection)
    settings = _settings(connection, wanted.settings)
    name, remedy = (ENFORCED, NOT_ENFORCED) if apart else (SETTINGS, BY_INIT)
    yield check(name, "settings", settings, remedy=remedy)
    for step in wanted.steps:
        found_ = _differences(wanted, live, step)
        yield check(f"{step}: as declared", "schema", found_, remedy=BY_INIT)
    names = [name for name, index in wanted.schema.indexes.items() if index.origin == "c"]
    repeats = _redundant(wanted.schema, names)
    yield check("no declared index is redundant", "schema", repeats, remedy=IN_SQL)
    unserved = without_index(wanted.schema, live)
    yield check("every foreign key has an index", "schema", unserved, remedy=BY_INIT)
    yield from _holding(connections, wanted, live, progress)
    if "writing" not in apart:
        yield from full_text.sound(connection, wanted, live)
    progress.at("constraints and query plans")
    yield from on_copy(connection, wanted, live)
    others = [fold(index.name) for index in undeclared_indexes(wanted.schema, live)]
    yield check("redundant indexes", "info", _redundant(live, others), info=True)
    yield check("does not work", "info", _unusable(live), info=True)
    if wanted.left_out:
        yield check("left out: full-text search", "info", iter([wanted.left_out]), info=True)
    if apart:
        yield check("left out on a cluster", "info", _left_out(wanted, live, apart), info=True)
    yield check(TARGETS, "info", within(connection, live), info=True)
    yield check("not managed here", "info", map(str, undeclared(wanted.schema, live)), info=True)


def _left_out(wanted: Declared, live: Schema, apart: Mapping[str, str]) -> Iterator[str]:
    """The checks that this database cannot have, each with why."""
    yield f"{SETTINGS}: {apart['settings']}"
    for file in wanted.checks["holds"]:
        if why := apart.get(file.says.get("needs", "")):
            yield f"{file.name}: {why}"
    for name in full_text.of(wanted, live):
        yield f"{name}: {apart['writing']}"


def _unusable(live: Schema) -> Iterator[str]:
    """The application's views, triggers and tables that SQLite cannot prepare; ours it can."""
    if may_be_unusable(live):
        yield from (f"{what}: {why}" for what, why in unusable(live).items())


CHANGE_ROWS = (
    "ask whoever owns the data whether to change these rows or to delete them (`sqlite3 $database`)"
)
SETTINGS = "settings of sql/pragma.sql"
ENFORCED = "foreign keys are enforced"
CHECKS_HOLD = "every row satisfies the declared CHECKs"


def _holding(
    connections: Sequence[sqlite3.Connection], declared: Declared, live: Schema, progress: Progress
) -> Iterator[Check]:
    """Run the checks of `checks/holds/`, and the rows against the declared CHECKs.

    Checks of the whole file come first; row scans, which read in order, run beside them. If
    `quick_check` passes, all pages are known to be sound; otherwise a large file is not mapped.
    """
    connection, wanted = connections[0], declared.schema
    tables = _weighed(connection)
    owners = dict(connection.execute("SELECT rootpage, name FROM sqlite_schema WHERE rootpage"))
    apart = left_out(connection)
    files = [file for file in declared.checks["holds"] if file.says.get("needs", "") not in apart]
    numbers = {file.name: count() for file in files}
    lacking = {CHECKS_HOLD: True, **{file.name: "own" in file.says for file in files}}

    def job(
        name: str, statement: str, table: str = "", weight: int = 0, unless: str = ""
    ) -> Job[Part]:
        def wrong(connection: sqlite3.Connection) -> Iterator[str]:
            if unless in GLANCES and GLANCES[unless](connection, live, table):
                return
            found = trial.wrong_rows(connection, statement, table)
            if lacking.get(name) and not table:
                found = iter(
                    with_stand_ins(connection, lambda: [*trial.wrong_rows(connection, statement)])
                )
            for finding in found:
                if not (table and _FREE_LIST.match(finding)):  # the check of the file has it too
                    yield _with_owner(finding, owners)

        label = f"{name} of {table}" if table else name
        return Job(label, weight, lambda one: draw(wrong(one), name, table, numbers.get(name)))

    first = [
        job(CHECKS_HOLD, statement, table)
        for table, statement in row_checks.counts(connection, wanted, live)
    ]
    of_each = []
    for file in files:
        for statement in file.statements:
            if trial.is_of_each_table(statement):
                unless = file.says.get("unless", "")
                of_each += [
                    job(file.name, statement, *table, unless)
                    for table in tables.items()
                    if file.says.get("of") != "declared" or fold(table[0]) in wanted.tables
                ]
            else:
                first.append(job(file.name, statement, weight=1))
    parts = side_by_side(connections, first, progress)
    if not any(part.number or part.error for part in parts):
        map_file(connections)
    parts += side_by_side(connections, of_each, progress)
    # What only the application could check or mend is not a fault, but not proven either.
    unproven = [
        part
        for part in parts
        if (lacking[part.of] and is_lacking(part.error)) or _is_theirs(part, wanted)
    ]
    parts = [part for part in parts if part not in unproven]
    for file in files:
        of_file = [part for part in parts if part.of == file.name]
        each = file.says.get("each", EACH)
        remedy = file.says.get("remedy", f"see {file.path} for what it requires, and correct that")
        yield joined(file.name, file.kind, of_file, counts=file.counts, each=each, remedy=remedy)
    of_rows = [part for part in parts if part.of == CHECKS_HOLD]
    yield joined(CHECKS_HOLD, "holds", of_rows, remedy=CHANGE_ROWS)
    lines = (f"{part.of} of {part.table or 'the file'}: {part.error}" for part in unproven)
    yield check("only the application can prove", "info", lines, info=True)


def _is_theirs(part: Part, wanted: Schema) -> bool:
    """Whether SQLite could not check a table of the application for a foreign key to what is no
    key: it does not work, as the check of that name tells, but no row is wrong.
    """
    is_mismatch = part.error.startswith("foreign key mismatch")
    return is_mismatch and fold(part.table) not in wanted.tables


def _foreign_keys_hold(connection: sqlite3.Connection, live: Schema, table: str) -> bool:
    """Whether a quick test proves that all foreign keys of a table hold."""
    found = live.tables.get(fold(table))
    try:
        return found is not None and all_hold(connection, live, found)
    except sqlite3.DatabaseError:  # the check itself will report it
        return False


GLANCES = {"foreign keys hold": _foreign_keys_hold}
"""The values of `unless:`, each with its test."""


def _weighed(connection: sqlite3.Connection) -> dict[str, int]:
    """All tables by name, including SQLite's own, with an estimate of how long each takes to check:
    the number of its rows and their index entries, as far as the largest rowid tells.
    """
    weights = {}
    for name, trees in connection.execute(
        "SELECT t.name, 1 + (SELECT count(*) FROM pragma_index_list(t.name))"
        "  FROM pragma_table_list AS t WHERE t.schema = 'main' AND t.type IN ('table', 'shadow')"
        " ORDER BY t.name"
    ):
        weights[name] = 0
        with suppress(sqlite3.DatabaseError):  # WITHOUT ROWID, or damaged: the check will report it
            (last,) = connection.execute(f"SELECT max(rowid) FROM {quoted(name)}").fetchone()
            weights[name] = last * trees if isinstance(last, int) else 0
    return weights


_FREE_LIST = re.compile("(?:Main freelist|Freelist): ")


def _with_owner(finding: str, owners: Mapping[int, str]) -> str:
    """A finding of `integrity_check`, with the table or index whose root page it names."""
    page = re.match(r"(?:On tree page|Tree|Page|page) (\d+)", finding)
    owner = owners.get(int(page[1])) if page else None
    return f"{finding} (page {page[1]} is the first of {owner})" if page and owner else finding


def _differences(wanted: Declared, live: Schema, step: str) -> Iterator[str]:
    yield from map(str, differences(wanted.schema, live, wanted.steps[step]))


def _settings(connection: sqlite3.Connection, settings: Settings) -> Iterator[str]:
    for setting, value in unsettled(connection, settings):
        yield f"{setting.name} is {value}; declared is {setting.value}"


def _redundant(schema: Schema, names: Iterable[str]) -> Iterator[str]:
    for name, reason in redundant(schema, names).items():
        yield f"index {schema.indexes[name].name} is not needed: {reason}"
