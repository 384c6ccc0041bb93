"""What each task does, from its options to its exit code; all tasks end here."""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from functools import wraps
from typing import ParamSpec

from ..declared.declaration import DOCS, PLAN, RESTORE, VERIFY
from ..errors import AbathurError, UsageError
from ..interruption import interrupted, listening
from ..place import Address, unless_default
from ..planning.statement import Step
from ..progress import Progress
from ..record.chain import run_chain
from ..record.conclusion import exit_code, record
from ..record.draft import BEFORE, REPLACED, Draft
from ..record.run import Run
from ..steps import preflight
from ..steps.target import Target
from ..storage.foreign_keys import Violations
from .forms import FORMATTED, GITHUB, JSON, JUNIT, SARIF, TEXT, form_of
from .output import (
    Manner,
    say,
    say_end,
    say_results,
    say_statement,
    say_step,
    say_violations,
    say_wrong,
    write_sql,
)
from .usage import LEFT_OUT

P = ParamSpec("P")


def told(task: Callable[P, int]) -> Callable[P, int]:
    """The task, with our errors reported on standard error; each has its own exit code."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            with listening():
                return task(*args, **kwargs)
        except AbathurError as error:
            say_wrong(str(error))
            return error.exit_code
        except KeyboardInterrupt:  # a second Ctrl-C
            return interrupted().exit_code

    return run


def end(run: Run, draft: Draft, *, as_json: bool) -> int:
    """Record and print the outcome of a task of one step; returns the exit code."""
    manner = Manner(JSON if as_json else TEXT)
    if not as_json:
        say_step(run.steps[0], run, manner)
    recorded = record(run, draft)
    say_end(run, recorded, draft.path, manner)
    return exit_code(run, recorded)


@told
def run_task(
    task: str,
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    backup: bool = True,
    form: object = None,
    quiet: bool = False,
    verbose: bool = False,
) -> int:
    """Run a task and return its exit code.

    `database`, `reports` and `schema` are paths as given by the user or the configuration. Prints a
    line for each step, or with `as_json` only the report, or what else `form` names; errors go to
    standard error. Without `backup` no copy is kept before rows are rewritten. `quiet` prints only
    what is wrong, `verbose` each statement before it runs as well.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other. Leave one of them.")
    manner = Manner(form_of(form, as_json, task in FORMATTED), quiet, verbose)
    path, folder, declared = preflight.check(task, database, reports, schema)
    with Draft(folder, task, datetime.now(timezone.utc)) as draft:
        preflight.check_format(task, path)
        seen = preflight.check_database(task, path, declared)
        declared = declared.chosen(seen.schema) if seen else declared
        run = Run(task, path, declared, reports=unless_default(folder))
        progress = Progress(sys.stderr)
        target = Target(path, declared, run.made, progress, asks_rows=task == "init", seen=seen)
        copy_to = (lambda: draft.folder(BEFORE)) if backup else None
        with closing(target), closing(run_chain(run, target, copy_to)) as events:
            for event in events:
                if isinstance(event, Violations):
                    say_violations(event, path)
                elif not manner.in_lines:
                    continue
                elif isinstance(event, Step):
                    say_step(event, run, manner)
                elif verbose:
                    say_statement(event)
        recorded = record(run, draft)
        say_end(run, recorded, draft.path, manner)
        return exit_code(run, recorded)


@told
def run_plan(
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    form: object = None,
    check: bool = False,
) -> int:
    """Print what `init` would run; return 0 if that is nothing, otherwise 1. With `check`, a
    summary in Markdown is printed instead.
    """
    from .show_plan import look  # only this task pays for the import

    form = form_of(form, as_json)
    path, folder, declared = preflight.check(PLAN, database, reports, schema)
    preflight.check_format(PLAN, path)
    preflight.check_database(PLAN, path, declared)
    found = look(path, declared)
    if form == JSON:
        say(found.to_json())
    elif form in (TEXT, GITHUB) and not check:
        write_sql(found.to_sql())
    if check or form in (JUNIT, SARIF, GITHUB):
        from ..presentation.github import summary
        from ..presentation.results import of_plan

        results = of_plan(found.steps, Run(PLAN, path, declared, reports=unless_default(folder)))
        line, sql = found.summary(), found.to_sql() if found.has_work else ""
        if check and form in (TEXT, GITHUB):
            say(summary(f"invoke {PLAN}", line, results, sql).rstrip())
        say_results(PLAN, str(path), results, form, line, sql)
    for line in found.blocked():
        say_wrong(line)
    return 1 if found.has_work else 0


@told
def run_restore(
    state: object,
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    rehearse: bool = False,
) -> int:
    """Replace the database by a preserved state, and return the exit code; without a state, list
    those that could be put back. With `rehearse` all is done but the replacing.
    """
    if state in (None, LEFT_OUT):
        from .states import list_states

        place, folder, declared = preflight.check(RESTORE, database, reports, schema)
        run = Run(RESTORE, place, declared, reports=unless_default(folder))
        say(list_states(run, folder, as_json=as_json))
        return 0
    from .restore import check_state, restore  # only this task pays for the import

    path, folder, declared = preflight.check(RESTORE, database, reports, schema)
    kept = check_state(state, path)
    with Draft(folder, RESTORE, datetime.now(timezone.utc)) as draft:
        asked = [str(state), *(["--rehearse"] if rehearse else [])]
        # A rehearsal touches nothing, so there is nothing to preserve when it fails.
        keeps, reports_in = not rehearse, unless_default(folder)
        run = Run(RESTORE, path, declared, asked, reports=reports_in, preserves=keeps)
        progress = Progress(sys.stderr)
        try:
            kept_in = None if rehearse else draft.folder(REPLACED)
            if isinstance(path, Address):
                from .cluster import restore_into_cluster

                run.steps.append(restore_into_cluster(run, path, kept, kept_in, progress))
            else:
                run.steps.append(restore(run, kept, kept_in, progress))
        finally:
            progress.done()
        return end(run, draft, as_json=as_json)


@told
def run_show(
    report: object,
    database: object,
    reports: object,
    as_json: bool,
    *,
    schema: object = None,
    browse: bool = False,
) -> int:
    """Write the page of a report, or of a verification made now; return 0, whatever it shows.

    With `as_json` the data of the page is printed instead; with `browse` the page is opened.
    """
    from . import show  # only this task pays for the import

    if not as_json:
        show.check_engine()
    progress = Progress(sys.stderr)
    if report in (None, LEFT_OUT):
        path, folder, declared = preflight.check_file(
            VERIFY, database, reports, schema, called="show"
        )
        with Draft(folder, VERIFY, datetime.now(timezone.utc)) as draft:
            run = Run(VERIFY, path, declared, reports=unless_default(folder))
            with closing(Target(path, declared, run.made, progress)) as target:
                for event in run_chain(run, target, None):
                    if isinstance(event, Step) and not as_json:
                        say_step(event, run, Manner())
            content = json.loads(record(run, draft).content)
            source = draft.path
    else:
        source, content = show.read_report(report)
        folder = preflight.path_of("reports", reports, "a folder, with --reports DIR")
    data = show.data_of(content, source, folder, schema, progress)
    if as_json:
        say(show.to_json(data))
        return 0
    page = show.write_page(data, folder, source)
    say(f"page: {page}")
    if browse and not show.open_page(page):
        say_wrong("no browser was found; open the page by its path")
    return 0


@told
def run_docs(database: object, output: object, *, schema: object = None) -> int:
    """Write the schema as a document: of `sql/`, or of a database, which is printed unless an
    `output` is named.
    """
    from . import docs  # only this task pays for the import

    if database is None:
        declared = preflight.read_declared(schema)
        page = docs.of_declared(declared)
    else:
        path, _, declared = preflight.check_file(DOCS, database, "reports", schema)
        page = docs.of_database(path, declared)
    if output == "-" or (output is None and database is not None):
        write_sql(page.rstrip("\n"))
        return 0
    target = preflight.path_of("document", output or docs.DEFAULT, "a file, with --output PATH")
    say(f"{'written' if docs.write(page, target) else 'unchanged'}: {target}")
    return 0
