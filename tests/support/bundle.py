"""A database and its reports, made by the real tasks inside this process."""

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
    """The report, once it has passed the project's JSON Schema."""
    _validator().validate(report)
    return report


def reports(folder: Path) -> list[Report]:
    """The reports in a folder, oldest first, each checked against the JSON Schema."""
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
        """The newest report."""
        return reports(self.reports)[-1]

    def sql(self, script: str) -> None:
        """Change the database behind the project's back, with foreign keys not enforced."""
        connection = sqlite3.connect(self.path)
        connection.executescript(script)
        connection.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The result of a query."""
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def failed(self) -> dict[str, list[str]]:
        """The findings of the checks that failed in the newest report, by name."""
        checks = self.report()["checks"]
        return {check["name"]: check["findings"] for check in checks if check["status"] == "fail"}

    def unchanged_by_init(self) -> bool:
        """Run `init`: whether every step finds nothing to do, and does nothing."""
        before = self.rows(OBJECTS)
        assert self.run("init") == 0
        statuses = {step["status"] for step in self.report()["steps"]}
        return statuses == {"unchanged"} and self.rows(OBJECTS) == before
