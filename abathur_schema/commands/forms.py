"""The forms in which a task says what it found: lines, JSON, or what CI systems read."""

import os

from ..errors import UsageError

TEXT, JSON, JUNIT, GITHUB, SARIF = "text", "json", "junit", "github", "sarif"
FORMS = (TEXT, JSON, JUNIT, GITHUB, SARIF)

FORMATTED = ("init", "verify")
"""The tasks with `--format`, besides `plan`."""


def form_of(given: object, as_json: bool, is_formatted: bool = True) -> str:
    """The form that was asked for by `--format` or `--json`; in GitHub Actions its own, for a task
    that has one. Raises UsageError.
    """
    if given in (None, ""):
        if as_json:
            return JSON
        in_actions = os.environ.get("GITHUB_ACTIONS") == "true"
        return GITHUB if in_actions and is_formatted else TEXT
    if given not in FORMS:
        raise UsageError(f"{given!r} is not a format. Name one of {', '.join(FORMS)}.")
    if as_json and given != JSON:
        raise UsageError(f"--json and --format {given} contradict each other. Leave one of them.")
    return str(given)
