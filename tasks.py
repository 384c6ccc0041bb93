"""The tasks that a user types; `invoke --list` shows them."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Container
from inspect import Parameter, Signature
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

# Ctrl-C while this loads ends it like any command; Invoke would exit with 1, "verify found faults".
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# Invoke disables the bytecode cache, so every start would compile the package again.
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))

# sqlite-utils imports numpy and pandas where they are installed, for values that no task has.
hidden = {"numpy", "pandas"} - sys.modules.keys()
sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be found

from abathur_schema.commands.tasks import run_docs, run_plan, run_restore, run_show, run_task
from abathur_schema.commands.usage import exit_2_on_wrong_usage

for name in hidden:
    del sys.modules[name]
gc.freeze()  # exempts what is imported: scanning it for garbage takes a tenth of a short run

DEFAULTS = {"database": "abathur.db", "reports": "reports", "schema": None}
"""The options that Invoke's configuration may set."""

OPTIONS: dict[str, tuple[Any, str]] = {
    "database": (
        None,
        "The SQLite file (default: abathur.db, or `database` of Invoke's configuration).",
    ),
    "reports": (None, "The folder for reports and preserved states (default: reports)."),
    "schema": (None, "A folder with sql/ and checks/ of one's own, declared on top of ours."),
    "json": (False, "Print the report, and nothing else, on standard output."),
    "format": (None, "How to say it: text, json, junit, sarif, or github (default in its CI)."),
    "quiet": (False, "Print only what is wrong."),
    "verbose": (False, "Print each statement before it runs."),
    "backup": (True, "Keep a copy of the database before rows are rewritten (the default)."),
    "check": (False, "Print a summary in Markdown instead of the SQL."),
    "state": (None, "The folder of a preserved state; without it, those that are here are listed."),
    "report": (None, "The JSON file of a report; without it the database is verified now."),
    "open": (False, "Open the page in the browser."),
    "output": (None, "The file to write (default: docs/schema.md; `-`, or a database: printed)."),
}
"""The options of all tasks: the default and the help of each."""

PATHS = ("database", "reports", "schema")
STEP = (*PATHS, "json", "quiet", "verbose")
AS_PARAMETER = {"json": "as_json", "format": "form", "open": "browse"}


def _task(
    *names: str, positional: str = "", configured: Container[str] = DEFAULTS, **helps: str
) -> Callable[[Callable[..., int]], "Task[Any]"]:
    """A task with these options, from a function that takes them and returns an exit code. Those
    that are `configured` come from the configuration if they are not given; `helps` replace the
    help of OPTIONS.
    """

    def make(function: Callable[..., int]) -> "Task[Any]":
        def body(c: Context, **given: Any) -> None:
            asked = {
                AS_PARAMETER.get(name, name): c.config[name]
                if value is None and name in configured
                else value
                for name, value in given.items()
            }
            if code := function(**asked):
                raise Exit(code=code)

        body.__name__, body.__doc__ = function.__name__, function.__doc__
        kind = Parameter.POSITIONAL_OR_KEYWORD
        options = [Parameter(name, kind, default=OPTIONS[name][0]) for name in names]
        body.__signature__ = Signature([Parameter("c", kind), *options])  # type: ignore[attr-defined]
        told = {name: helps.get(name, OPTIONS[name][1]) for name in names}
        return Task(body, help=told, positional=[positional] if positional else [])

    return make


@_task(*STEP, "format", "backup")
def init(**asked: Any) -> int:
    """Make the database, or bring an older one up to date, and prove it: all steps, then verify."""
    return run_task("init", **asked)


@_task(*STEP)
def pragma(**asked: Any) -> int:
    """Make the file if there is none, and put it into WAL mode (sql/pragma.sql)."""
    return run_task("pragma", **asked)


@_task(*STEP, "backup")
def core(**asked: Any) -> int:
    """Make the core tables, and first the tables that they reference (sql/core.sql)."""
    return run_task("core", **asked)


@_task(*STEP)
def core_indexes(**asked: Any) -> int:
    """Make the indexes of the core tables (sql/core-indexes.sql)."""
    return run_task("core-indexes", **asked)


@_task(*STEP, "backup")
def memory(**asked: Any) -> int:
    """Make the memory tables (sql/memory.sql)."""
    return run_task("memory", **asked)


@_task(*STEP)
def memory_indexes(**asked: Any) -> int:
    """Make the indexes of the memory tables, and those that tie audit to them."""
    return run_task("memory-indexes", **asked)


@_task(*STEP)
def search(**asked: Any) -> int:
    """Make the full-text search of memories and documents; optional (sql/search.sql)."""
    return run_task("search", **asked)


@_task(*PATHS, "json", "quiet", "format")
def verify(**asked: Any) -> int:
    """Prove that the database is what sql/ declares and that checks/ hold; reads only."""
    return run_task("verify", **asked)


@_task(
    *(*PATHS, "json", "format", "check"),
    json="Print the plan as data, and nothing else, on standard output.",
)
def plan(**asked: Any) -> int:
    """Print, as SQL that can be read and run, what init would do, and why; changes nothing."""
    return run_plan(**asked)


@_task(*PATHS, "json", "state", positional="state")
def restore(**asked: Any) -> int:
    """Put a preserved state back, and keep what it replaces; without a state, list them."""
    return run_restore(**asked)


@_task(
    *(*PATHS, "json", "report", "open"),
    positional="report",
    json="Print the data of the page, and nothing else, on standard output.",
)
def show(**asked: Any) -> int:
    """Write one HTML page with all that is known: verdict, diagram, checks, plans, space."""
    return run_show(**asked)


@_task(
    *("database", "schema", "output"),
    configured=("schema",),
    database="The SQLite file to describe; without it, what sql/ declares.",
)
def docs(**asked: Any) -> int:
    """Write the schema as a document: diagram, tables, columns, indexes and their queries."""
    return run_docs(**asked)


exit_2_on_wrong_usage()
namespace = Collection(
    *(init, pragma, core, core_indexes, memory, memory_indexes, search, verify),
    *(plan, restore, show, docs),
)
namespace.configure(DEFAULTS)
