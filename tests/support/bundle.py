"""A database and its reports, created by the real tasks inside this process."""

import json
import sqlite3
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from abathur_schema.commands.tasks import run_task
from tests.support.commands import ROOT

SCHEMA = json.loads((ROOT / "abathur_schema" / "record" / "report.schema.json").read_text("utf-8"))
OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"

Report = dict[str, Any]


@cache
def _validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(SCHEMA)
    return Draft202012Validator(SCHEMA)


def valid(report: Report) -> Report:
    """Validate a report against the project's JSON Schema, and return it."""
    _validator().validate(report)
    return report


def reports(folder: Path) -> list[Report]:
    """Return the reports in a folder, oldest first, each validated against the JSON Schema."""
    return [valid(json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]


class Bundle:
    """One database and its reports."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "abathur.db"
        self.reports = folder / "reports"

    def run(self, task: str) -> int:
        """Run a task and return its exit code."""
        return run_task(task, str(self.path), str(self.reports), as_json=False)

    def report(self) -> Report:
        """Return the newest report."""
        return reports(self.reports)[-1]

    def sql(self, script: str) -> None:
        """Change the database behind the project's back, without enforcing foreign keys."""
        connection = sqlite3.connect(self.path)
        connection.executescript(script)
        connection.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the result of a query."""
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def failed(self) -> dict[str, list[str]]:
        """Return the findings of the checks that failed in the newest report, by check name."""
        checks = self.report()["checks"]
        return {check["name"]: check["findings"] for check in checks if check["status"] == "fail"}

    def unchanged_by_init(self) -> bool:
        """Run `init`; return whether every step found nothing to do and changed nothing."""
        before = self.rows(OBJECTS)
        assert self.run("init") == 0
        statuses = {step["status"] for step in self.report()["steps"]}
        return statuses == {"unchanged"} and self.rows(OBJECTS) == before
