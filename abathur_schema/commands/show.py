"""`show`: one HTML file with all that is known about a database, after verifying it or from a
report.
"""

import json
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..presentation.gather import page_data
from ..presentation.page import render
from ..progress import Progress
from ..record.report import Document
from ..steps import preflight
from ..storage.durable_files import make_folders, new_file


def read_report(report: object) -> tuple[Path, Document]:
    """A report of ours, and its path. Raises UsageError."""
    path = preflight.path_of("report", report, "the JSON file of a report")
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} is not a report: {reason}. Name a JSON file of ours.") from error
    if not _fits(found, SHOWN):
        raise UsageError(
            f"{path} is not a report of ours. Name a JSON file that init, a step, verify or restore"
            " has written."
        )
    return path, found


_STEP = {"name": str, "status": str, "duration_ms": (int, float), "notes": [str]}
_ATTEMPT = {"outcome": str, "error": (str, type(None))}
_CHECK = {"name": str, "kind": str, "status": str, "findings": [str], "duration_ms": (int, float)}
_FAILURE = {"step": str, "error": str, "cause": str, "attempts": int, "not_preserved": [str]}
_STATEMENT = {"sql": str, "reason": str}

SHOWN = {
    "execution_status": {"timestamp": str, "status": str},
    "orchestration_context": {
        "next_recommended_action": str,
        "context_for_next_agent": {"database_path": str},
    },
    "human_readable_summary": str,
    "steps": [_STEP | {"attempts": [_ATTEMPT], "statements": [_STATEMENT]}],
    "checks": [_CHECK],
    "environment": {"task": str},
    "failure": (type(None), _FAILURE | {"statement": (str, type(None))}),
}
"""What the page shows of a report, by its types."""


def _fits(value: object, shape: Any) -> bool:
    """Whether a JSON value has a shape: a type, one of several, a list of it, or its keys."""
    if isinstance(shape, tuple):
        return any(_fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            name in value and _fits(value[name], one) for name, one in shape.items()
        )
    return isinstance(value, shape)


def check_engine() -> None:
    """Raise UsageError where the template engine is not installed."""
    if not find_spec("jinja2"):
        raise UsageError(
            "the page needs Jinja2: pip install 'abathur-schema[show]'. Nothing was touched;"
            " `invoke show --json` prints what the page would show."
        )


def data_of(
    report: Document, path: Path, folder: Path, schema: object, progress: Progress
) -> Document:
    """What the page of the report at `path` shows; other reports are looked for in `folder`. Raises
    UsageError.
    """
    context = report["orchestration_context"]["context_for_next_agent"]
    declared = preflight.read_declared(schema or context.get("own_schema"))
    return page_data(report, path, folder, Path(context["database_path"]), declared, progress)


def write_page(data: Document, folder: Path, report: Path) -> Path:
    """Write the page of a report into `folder`, whole or not at all, for its owner only; returns
    its path. Raises UsageError.
    """
    stem = report.parent.name if report.name == "report.json" else report.stem
    path = folder / f"{stem}.html"
    content = render(data).encode()
    try:
        make_folders(folder)
        with new_file(path) as file:
            file.write(content)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}. Name a folder that can be, with"
            " --reports DIR."
        ) from error
    return path


def open_page(path: Path) -> bool:
    """Open the page in the browser of this user; False where there is none."""
    import webbrowser

    with suppress(webbrowser.Error, OSError):
        return webbrowser.open(path.as_uri())
    return False


def to_json(data: Document) -> str:
    """The data of the page, as JSON."""
    return json.dumps(data, indent=2)
