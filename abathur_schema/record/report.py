"""The report: one JSON file for each run, written once everything it says is true.

`report.schema.json` beside this module is its JSON Schema.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..diagnosis import trace
from ..planning.statement import Step
from ..proof.findings import Check
from ..proof.targets import FULL_TEXT_MS, READ_MS, SEMANTIC_MS, TARGETS
from ..wording import as_called
from .environment import environment
from .run import Run

VERSION = "1.0"
AGENT = "database-schema-implementer"

Document = dict[str, Any]


def compose(run: Run) -> Document:
    """The report of a run, as JSON values. All paths in it are absolute."""
    passed = run.status == "SUCCESS"
    changed = bool(run.ran)
    path = str(run.database)
    kept = [file for state in (run.copy, run.preserved) if state for file in state.files]
    return {
        "report_version": VERSION,
        "execution_status": {
            "status": run.status,
            "completion": run.completion,
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "agent_name": AGENT,
        },
        "deliverables": {
            "files_created": [str(made) for made in (*run.made, *kept)],
            "files_modified": [path] if changed and run.database not in run.made else [],
            "tables_created": run.delivered("tables_created"),
            "tables_rebuilt": run.delivered("tables_rebuilt"),
            "tables_changed": run.delivered("tables_changed"),
            "columns_added": run.delivered("columns_added"),
            "indexes_created": run.delivered("indexes_created"),
            "indexes_dropped": run.delivered("indexes_dropped"),
            "views_created": run.delivered("views_created"),
            "triggers_created": run.delivered("triggers_created"),
            "upgrades_run": run.delivered("upgrades_run"),
            "rows_deleted": run.delivered("rows_deleted"),
            "validation_results": list(_validation(run)),
        },
        "orchestration_context": {
            "next_recommended_action": run.next_action(),
            "dependencies_resolved": list(run.parents_first()),
            "blockers_encountered": list(run.blockers()),
            "context_for_next_agent": {
                "database_path": path,
                "schema_complete": run.complete,
                "own_schema": str(run.declared.own) if run.declared.own else None,
                "performance_targets": {
                    "read_ms": READ_MS,
                    "full_text_search_ms": FULL_TEXT_MS,
                    "semantic_search_ms": SEMANTIC_MS,
                },
            },
        },
        "quality_metrics": {
            "success_criteria_met": [
                *(f"{step.name}: done" for step in run.steps if _succeeded(step)),
                *(check.name for check in run.checks or () if _is_proof(check)),
            ],
            "validation_results": "pass" if passed else "fail",
            "performance_notes": list(_performance(run)),
        },
        "human_readable_summary": run.summary(),
        "steps": [_step(step) for step in run.steps],
        "checks": [_check(check) for check in run.checks or ()],
        "environment": environment(run.task, run.database),
        "database": _database(run),
        "foreign_keys_before": _violations(run),
        "copy_before": str(run.copy.folder) if run.copy else None,
        "failure": _failure(run),
    }


def to_json(document: Document) -> str:
    """The text of a report."""
    # ASCII: the same text on any terminal, and for any bytes in a path.
    return as_called(json.dumps(document, indent=2)) + "\n"


def without_trace(content: str) -> str:
    """The text of a report for a terminal, without stack traces."""
    document = json.loads(content)
    if document["failure"]:
        document["failure"]["trace"] = "left out here"
    return to_json(document)


def _is_proof(check: Check) -> bool:
    return check.status == "pass" and check.kind != "info"


def _succeeded(step: Step) -> bool:
    return step.status in ("changed", "unchanged")


def _validation(run: Run) -> Iterator[str]:
    for step in run.steps:
        if _succeeded(step) and step.name in run.declared.steps:
            yield f"{step.name}: as declared"
    for check in run.checks or ():
        if check.counts and check.completed:
            yield f"{check.name}: {check.number} {check.counts}"
        elif check.kind == "holds":
            yield f"{check.name}: " + ("ok" if check.status == "pass" else check.findings[-1])
    if run.checks is not None:
        yield f"checks: {len(run.checks) - len(run.faults)} passed, {len(run.faults)} failed"


def _performance(run: Run) -> Iterator[str]:
    plans = [check for check in run.checks or () if check.kind in ("plans", "writes")]
    if plans:
        good = sum(check.status == "pass" for check in plans)
        yield f"{good} of {len(plans)} checks of query plans pass: queries search by their index"
    for check in run.checks or ():
        if check.name == TARGETS:
            yield from check.findings
    if run.checks:
        slowest = max(run.checks, key=lambda check: check.duration_ms)
        yield f"slowest check: {slowest.name}, {slowest.duration_ms:.1f} ms"
    for step in run.steps:
        if step.status == "changed":
            yield f"{step.name}: {step.duration_ms:.1f} ms"


def _step(step: Step) -> Document:
    return {
        "name": step.name,
        "status": step.status,
        "attempts": [
            {
                "outcome": "failed" if attempt.error else "done",
                "error": str(attempt.error) if attempt.error else None,
                "statements": [statement.sql for statement in attempt.ran],
            }
            for attempt in step.attempts
        ],
        "duration_ms": round(step.duration_ms, 3),
        "notes": step.notes,
        "statements": [
            {"sql": statement.sql, "reason": statement.reason} for statement in step.ran
        ],
    }


def _check(check: Check) -> Document:
    return {
        "name": check.name,
        "kind": check.kind,
        "status": check.status,
        "findings": list(check.findings),
        "duration_ms": round(check.duration_ms, 3),
    }


def _database(run: Run) -> Document:
    """The size of the file and of its `-wal`, in bytes (None in a cluster), and the rows of each
    table, if counted.
    """
    sizes: list[int | None] = [None, None]
    for place, suffix in enumerate(("", "-wal") if isinstance(run.database, Path) else ()):
        sizes[place] = 0
        with suppress(OSError):  # there is none
            sizes[place] = run.file.with_name(run.file.name + suffix).stat().st_size
    rows = run.rows if run.rows is None else dict(run.rows)
    return {"bytes": sizes[0], "wal_bytes": sizes[1], "rows": rows}


def _violations(run: Run) -> Document | None:
    if run.violations is None:
        return None
    return {
        "violations": run.violations.total,
        "by_foreign_key": dict(run.violations.counts),
        "first": list(run.violations.first),
    }


def _failure(run: Run) -> Document | None:
    step = run.failed
    if step is None or step.error is None:
        return None
    running = step.attempts[-1].running
    return {
        "step": step.name,
        "statement": running.sql if running else None,
        "error": str(step.error),
        "cause": run.explained(step.error).cause,
        "trace": trace(step.error),
        "attempts": len(step.attempts),
        "preserved_state": str(run.state_folder) if run.state_folder else None,
        "not_preserved": run.preserved.lost if run.preserved else [],
    }
