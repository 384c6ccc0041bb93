"""The options of the tasks: the default and the help of each, and a task made of some of them."""

from collections.abc import Callable, Container
from inspect import Parameter, Signature
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

from .. import place
from ..place import DATABASE, REPORTS

DEFAULTS = {"database": DATABASE, "reports": REPORTS, "schema": None}
"""The options that Invoke's configuration may set."""

OPTIONS: dict[str, tuple[Any, str]] = {
    "database": (
        None,
        "The SQLite file, or rqlite://HOST:PORT,... (default: abathur.db, or `database` of Invoke's"
        " configuration).",
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
    "folder": (None, "The folder for the backup (default: the folder for reports)."),
    "file": (None, "A plain file for the backup, instead of a folder."),
    "check_copy": (True, "Check the copy after it was made (the default)."),
    "keep": (None, "Remove older backups of this database there, but for the newest so many."),
    "truncate": (False, "Wait for readers, and cut the log to nothing."),
    "dry_run": (False, "Only say what would be done."),
    "rules": (
        None,
        "The rules to run, separated by commas, or `all`; without, nothing is removed.",
    ),
    "older_than": (None, "An age (12h, 90d, 8w) or a time, instead of what the rules say."),
    "rehearse": (False, "Prove that the state would come back, and touch nothing."),
    "watch": (None, "Show it again every so many seconds, until Ctrl-C."),
    "prometheus": (False, "Print metrics in Prometheus's text format."),
    "output": (None, "The file to write (default: docs/schema.md; `-`, or a database: printed)."),
}
"""The options of all tasks: the default and the help of each."""

PATHS = ("database", "reports", "schema")
STEP = (*PATHS, "json", "quiet", "verbose")
AS_PARAMETER = {
    "json": "as_json",
    "format": "form",
    "open": "browse",
    "watch": "seconds",
    "check_copy": "check",
    "prometheus": "as_prometheus",
}


def task(
    *names: str, positional: str = "", configured: Container[str] = DEFAULTS, **helps: str
) -> Callable[[Callable[..., int]], "Task[Any]"]:
    """A task with these options, from a function that takes them and returns an exit code. Those
    that are `configured` come from the configuration if they are not given; `helps` replace the
    help of OPTIONS.
    """

    def make(function: Callable[..., int]) -> "Task[Any]":
        def body(c: Context, **given: Any) -> None:
            place.configured = any(c.config[name] != value for name, value in DEFAULTS.items())
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
