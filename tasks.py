"""The tasks that a user types; `invoke --list` shows them."""

import gc
import os
import signal
import sys
from typing import Any

from invoke.collection import Collection

# Ctrl-C while this loads ends it like any command; Invoke would exit with 1, "verify found faults".
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# Invoke disables the bytecode cache, so every start would compile the package again.
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))

# sqlite-utils imports numpy and pandas where they are installed, for values that no task has.
hidden = {"numpy", "pandas"} - sys.modules.keys()
sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be found

from abathur_schema.commands.options import DEFAULTS, PATHS, STEP, task
from abathur_schema.commands.tasks import run_docs, run_plan, run_restore, run_show, run_task
from abathur_schema.commands.usage import exit_2_on_wrong_usage

for name in hidden:
    del sys.modules[name]
gc.freeze()  # exempts what is imported: scanning it for garbage takes a tenth of a short run
gc.set_threshold(10_000)  # what a run makes, it mostly keeps to its end


@task(*STEP, "format", "backup")
def init(**asked: Any) -> int:
    """Make the database, or bring an older one up to date, and prove it: all steps, then verify."""
    return run_task("init", **asked)


@task(*STEP)
def pragma(**asked: Any) -> int:
    """Make the file if there is none, and put it into WAL mode (sql/pragma.sql)."""
    return run_task("pragma", **asked)


@task(*STEP, "backup")
def core(**asked: Any) -> int:
    """Make the core tables, and first the tables that they reference (sql/core.sql)."""
    return run_task("core", **asked)


@task(*STEP)
def core_indexes(**asked: Any) -> int:
    """Make the indexes of the core tables (sql/core-indexes.sql)."""
    return run_task("core-indexes", **asked)


@task(*STEP, "backup")
def memory(**asked: Any) -> int:
    """Make the memory tables (sql/memory.sql)."""
    return run_task("memory", **asked)


@task(*STEP)
def memory_indexes(**asked: Any) -> int:
    """Make the indexes of the memory tables, and those that tie audit to them."""
    return run_task("memory-indexes", **asked)


@task(*STEP)
def search(**asked: Any) -> int:
    """Make the full-text search of memories and documents; optional (sql/search.sql)."""
    return run_task("search", **asked)


@task(*PATHS, "json", "quiet", "format")
def verify(**asked: Any) -> int:
    """Prove that the database is what sql/ declares and that checks/ hold; reads only."""
    return run_task("verify", **asked)


@task(
    *(*PATHS, "json", "format", "check"),
    json="Print the plan as data, and nothing else, on standard output.",
)
def plan(**asked: Any) -> int:
    """Print, as SQL that can be read and run, what init would do, and why; changes nothing."""
    return run_plan(**asked)


@task(*PATHS, "json", "state", "rehearse", positional="state")
def restore(**asked: Any) -> int:
    """Put a preserved state back, and keep what it replaces; without a state, list them."""
    return run_restore(**asked)


@task(
    *(*PATHS, "json", "report", "open"),
    positional="report",
    json="Print the data of the page, and nothing else, on standard output.",
)
def show(**asked: Any) -> int:
    """Write one HTML page with all that is known: verdict, diagram, checks, plans, space."""
    return run_show(**asked)


@task(
    *("database", "schema", "output"),
    configured=("schema",),
    database="The SQLite file to describe; without it, what sql/ declares.",
)
def docs(**asked: Any) -> int:
    """Write the schema as a document: diagram, tables, columns, indexes and their queries."""
    return run_docs(**asked)


@task(
    *(*PATHS, "json", "prometheus", "watch"),
    json="Print it as JSON, and nothing else, on standard output.",
)
def status(**asked: Any) -> int:
    """Show size, log and who holds it, rows, schema, last verification, what needs attention."""
    from abathur_schema.commands.operation import run_status  # not needed to verify

    return run_status(**asked)


@task(*PATHS, "json", "folder", "file", "check_copy", "keep", positional="folder")
def backup(**asked: Any) -> int:
    """Copy the database while others use it, as a state that restore takes, and check the copy."""
    from abathur_schema.commands.operation import run_backup

    return run_backup(**asked)


@task(*PATHS, "json", "truncate")
def checkpoint(**asked: Any) -> int:
    """Copy the write-ahead log into the file, without waiting for anybody."""
    from abathur_schema.commands.operation import run_checkpoint

    return run_checkpoint(**asked)


@task(*PATHS, "json", "dry_run", "backup")
def vacuum(**asked: Any) -> int:
    """Rewrite the file without its free pages; says first what that frees and needs."""
    from abathur_schema.commands.operation import run_vacuum

    return run_vacuum(**asked)


@task(*PATHS, "json", "rules", "older_than", "dry_run", positional="rules")
def forget(**asked: Any) -> int:
    """Remove what is old, by rules of sql/retention/; without a rule, say what that would be."""
    from abathur_schema.commands.forget import run_forget

    return run_forget(**asked)


@task(*PATHS, "json")
def optimize(**asked: Any) -> int:
    """Bring the statistics up to date that SQLite plans queries by."""
    from abathur_schema.commands.operation import run_optimize

    return run_optimize(**asked)


exit_2_on_wrong_usage()
namespace = Collection(
    *(init, pragma, core, core_indexes, memory, memory_indexes, search, verify),
    *(plan, restore, show, docs, status, backup, checkpoint, vacuum, optimize, forget),
)
namespace.configure(DEFAULTS)
