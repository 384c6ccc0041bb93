"""Reports that earlier runs have written."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from .report import Document


def past_report(path: Path) -> Document | None:
    """The report at `path`; None for what is none of ours, or cannot be read."""
    with suppress(OSError, ValueError):
        report: Any = json.loads(path.read_bytes())
        if database_of(report):
            found: Document = report
            return found
    return None


def database_of(report: Any) -> str | None:
    """The path of the database that a report is about; None where it says nothing of the kind."""
    with suppress(KeyError, TypeError):
        path = report["orchestration_context"]["context_for_next_agent"]["database_path"]
        return path if isinstance(path, str) else None
    return None
