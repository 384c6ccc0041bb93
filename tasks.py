"""The tasks that a user types; `invoke --list` shows them."""

import gc
import os
import signal
import sys

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

# Ctrl-C while this loads ends it like any command; Invoke would answer 1, "verify found something".
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# Invoke keeps Python from caching bytecode, so each start would compile the package anew.
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))

from abathur_schema.commands.chain import run_plan, run_restore, run_task
from abathur_schema.commands.usage import exit_2_on_wrong_usage

gc.freeze()  # what is imported stays: to look through it for garbage takes a tenth of a short run

DEFAULTS = {"database": "abathur.db", "reports": "reports"}
OPTIONS = {
    "database": "The SQLite file (default: abathur.db, or `database` of Invoke's configuration).",
    "reports": "The folder for reports and preserved states (default: reports).",
    "json": "Print the report, and nothing else, on standard output.",
}
BACKUP = {"backup": "Keep a copy of the database before rows of it are written anew (the default)."}
Paths = tuple[str | None, str | None]


def _run(name: str, c: Context, given: Paths, json: bool, backup: bool = True) -> None:
    _end(run_task(name, *_paths(c, given), json, backup=backup))


def _paths(c: Context, given: Paths) -> tuple[object, object]:
    """The database and the reports folder: as given, or else as configured."""
    database, reports = given
    return (
        c.config.database if database is None else database,
        c.config.reports if reports is None else reports,
    )


def _end(code: int) -> None:
    if code:
        raise Exit(code=code)


@task(help=OPTIONS | BACKUP)
def init(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    json: bool = False,
    backup: bool = True,
) -> None:
    """Make the database, or bring an older one up to date, and prove it: all steps, then verify."""
    _run("init", c, (database, reports), json, backup)


@task(help=OPTIONS)
def pragma(
    c: Context, database: str | None = None, reports: str | None = None, json: bool = False
) -> None:
    """Make the file if there is none, and put it into WAL mode (sql/pragma.sql)."""
    _run("pragma", c, (database, reports), json)


@task(help=OPTIONS | BACKUP)
def core(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    json: bool = False,
    backup: bool = True,
) -> None:
    """Make the core tables, and first the tables that they reference (sql/core.sql)."""
    _run("core", c, (database, reports), json, backup)


@task(help=OPTIONS)
def core_indexes(
    c: Context, database: str | None = None, reports: str | None = None, json: bool = False
) -> None:
    """Make the indexes of the core tables (sql/core-indexes.sql)."""
    _run("core-indexes", c, (database, reports), json)


@task(help=OPTIONS | BACKUP)
def memory(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    json: bool = False,
    backup: bool = True,
) -> None:
    """Make the memory tables (sql/memory.sql)."""
    _run("memory", c, (database, reports), json, backup)


@task(help=OPTIONS)
def memory_indexes(
    c: Context, database: str | None = None, reports: str | None = None, json: bool = False
) -> None:
    """Make the indexes of the memory tables, and those that tie audit to them."""
    _run("memory-indexes", c, (database, reports), json)


@task(help=OPTIONS)
def verify(
    c: Context, database: str | None = None, reports: str | None = None, json: bool = False
) -> None:
    """Prove that the database is what sql/ declares and that checks/ hold; reads only."""
    _run("verify", c, (database, reports), json)


@task(help=OPTIONS | {"json": "Print the plan as data, and nothing else, on standard output."})
def plan(
    c: Context, database: str | None = None, reports: str | None = None, json: bool = False
) -> None:
    """Print, as SQL that can be read and run, what init would do, and why; changes nothing."""
    _end(run_plan(*_paths(c, (database, reports)), json))


@task(help=OPTIONS | {"state": "The folder of a preserved state, as a report names it."})
def restore(
    c: Context,
    state: str,
    database: str | None = None,
    reports: str | None = None,
    json: bool = False,
) -> None:
    """Put a preserved state back, and keep what it replaces as a preserved state of its own."""
    _end(run_restore(state, *_paths(c, (database, reports)), json))


exit_2_on_wrong_usage()
namespace = Collection(
    init, pragma, core, core_indexes, memory, memory_indexes, verify, plan, restore
)
namespace.configure(DEFAULTS)
