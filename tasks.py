"""The tasks that a user types; `invoke --list` shows them."""

import gc
import os
import signal
import sys
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

# Ctrl-C while this loads ends it like any command; Invoke would exit with 1, "verify found faults".
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# Invoke disables the bytecode cache, so every start would compile the package again.
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))

# sqlite-utils imports numpy and pandas where they are installed, for values that no task has.
hidden = {"numpy", "pandas"} - sys.modules.keys()
sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be found

from abathur_schema.commands.tasks import run_plan, run_restore, run_task
from abathur_schema.commands.usage import exit_2_on_wrong_usage

for name in hidden:
    del sys.modules[name]
gc.freeze()  # exempts what is imported: scanning it for garbage takes a tenth of a short run

DEFAULTS = {"database": "abathur.db", "reports": "reports", "schema": None}
OPTIONS = {
    "database": "The SQLite file (default: abathur.db, or `database` of Invoke's configuration).",
    "reports": "The folder for reports and preserved states (default: reports).",
    "schema": "A folder with sql/ and checks/ of one's own, declared on top of ours.",
    "json": "Print the report, and nothing else, on standard output.",
}
BACKUP = {"backup": "Keep a copy of the database before rows are rewritten (the default)."}


def _asked(c: Context, json: bool, **given: str | None) -> dict[str, Any]:
    """The given options; for the others, the configured values."""
    paths = {name: c.config[name] if value is None else value for name, value in given.items()}
    return {**paths, "as_json": json}


def _end(code: int) -> None:
    if code:
        raise Exit(code=code)


@task(help=OPTIONS | BACKUP)
def init(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
    backup: bool = True,
) -> None:
    """Make the database, or bring an older one up to date, and prove it: all steps, then verify."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_task("init", **asked, backup=backup))


@task(help=OPTIONS)
def pragma(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
) -> None:
    """Make the file if there is none, and put it into WAL mode (sql/pragma.sql)."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_task("pragma", **asked))


@task(help=OPTIONS | BACKUP)
def core(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
    backup: bool = True,
) -> None:
    """Make the core tables, and first the tables that they reference (sql/core.sql)."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_task("core", **asked, backup=backup))


@task(help=OPTIONS)
def core_indexes(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
) -> None:
    """Make the indexes of the core tables (sql/core-indexes.sql)."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_task("core-indexes", **asked))


@task(help=OPTIONS | BACKUP)
def memory(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
    backup: bool = True,
) -> None:
    """Make the memory tables (sql/memory.sql)."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_task("memory", **asked, backup=backup))


@task(help=OPTIONS)
def memory_indexes(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
) -> None:
    """Make the indexes of the memory tables, and those that tie audit to them."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_task("memory-indexes", **asked))


@task(help=OPTIONS)
def search(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
) -> None:
    """Make the full-text search of memories and documents; optional (sql/search.sql)."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_task("search", **asked))


@task(help=OPTIONS)
def verify(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
) -> None:
    """Prove that the database is what sql/ declares and that checks/ hold; reads only."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_task("verify", **asked))


@task(help=OPTIONS | {"json": "Print the plan as data, and nothing else, on standard output."})
def plan(
    c: Context,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
) -> None:
    """Print, as SQL that can be read and run, what init would do, and why; changes nothing."""
    _end(run_plan(**_asked(c, json, database=database, reports=reports, schema=schema)))


@task(help=OPTIONS | {"state": "The folder of a preserved state, as a report names it."})
def restore(
    c: Context,
    state: str,
    database: str | None = None,
    reports: str | None = None,
    schema: str | None = None,
    json: bool = False,
) -> None:
    """Put a preserved state back, and keep what it replaces as a preserved state of its own."""
    asked = _asked(c, json, database=database, reports=reports, schema=schema)
    _end(run_restore(state, **asked))


exit_2_on_wrong_usage()
namespace = Collection(
    init, pragma, core, core_indexes, memory, memory_indexes, search, verify, plan, restore
)
namespace.configure(DEFAULTS)
