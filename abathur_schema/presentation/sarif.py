"""SARIF 2.1.0, which code-scanning services read: each check a rule, each finding a result."""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from .. import __version__
from ..wording import as_called
from .places import Place
from .results import Finding, Result

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"fail": "error", "error": "error", "info": "note"}


def sarif(results: Sequence[Result]) -> str:
    """The results as the text of a SARIF file."""
    told = [result for result in results if result.status in LEVELS]
    return json.dumps(
        {
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "abathur-schema",
                            "version": __version__,
                            "rules": [_rule(result) for result in told],
                        }
                    },
                    "results": [
                        _result(result, number, finding)
                        for number, result in enumerate(told)
                        for finding in result.findings
                    ],
                }
            ],
        },
        indent=2,
    )


def rule_id(result: Result) -> str:
    """The id of a check: the same in every run."""
    words = "".join(letter if letter.isalnum() else "-" for letter in result.name.lower())
    return f"{result.kind}/{'-'.join(filter(None, words.split('-')))}"


def _rule(result: Result) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": rule_id(result), "shortDescription": {"text": result.name}}
    if result.remedy:
        rule["help"] = {"text": as_called(result.remedy)}
    return rule


def _result(result: Result, number: int, finding: Finding) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": rule_id(result),
        "ruleIndex": number,
        "level": LEVELS[result.status],
        "message": {"text": f"{result.name}: {finding.text}"},
        "partialFingerprints": {
            "finding/v1": sha256(f"{rule_id(result)} {finding.text}".encode()).hexdigest()
        },
    }
    if finding.place:
        found["locations"] = [_location(finding.place)]
    return found


def _location(place: Place) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(place.path)},
            "region": {"startLine": place.line},
        }
    }


def _uri(path: Path) -> str:
    """The path below the working directory, or else as a file: URI."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.absolute().as_uri()
