"""Reports are valid, unique, complete and true."""

import copy
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from jsonschema import ValidationError

from abathur_schema.declared.declaration import STEPS
from abathur_schema.record.draft import Draft
from tests.support.bundle import SCHEMA, Bundle, reports, valid
from tests.support.commands import Faulty, Invoke

STEM = re.compile(
    r"\d{8}T\d{6}\.\d{6}Z-(init|verify|pragma|core|core-indexes|memory|memory-indexes)"
)


def test_every_kind_of_report_is_valid_and_named_by_time_and_task(empty: Bundle) -> None:
    tasks = [*STEPS, "verify", "init"]
    for task in tasks:
        assert empty.run(task) == 0
    empty.sql("DROP INDEX idx_agents_state; CREATE VIEW v AS SELECT 1")
    assert empty.run("verify") == 1
    empty.sql("CREATE TABLE idx_agents_state (x)")
    assert empty.run("init") == 3
    paths = sorted(path for path in empty.reports.iterdir() if path.suffix == ".json")
    assert [path.stem.partition("-")[2] for path in paths] == [*tasks, "verify", "init"]
    assert all(STEM.fullmatch(path.stem) for path in paths)
    found = reports(empty.reports)
    statuses = [report["execution_status"]["status"] for report in found]
    assert statuses == ["SUCCESS"] * len(tasks) + ["FAILURE", "PARTIAL"]
    assert [report["environment"]["task"] for report in found] == [*tasks, "verify", "init"]


WRONG = {
    "a status of its own": lambda report: report["execution_status"].update(status="DONE"),
    "a relative path": lambda report: report["deliverables"].update(files_created=["a.db"]),
    "no summary": lambda report: report.pop("human_readable_summary"),
    "an entry of its own": lambda report: report.update(mood="good"),
    "a step three times": lambda report: report["steps"][0].update(
        attempts=report["steps"][0]["attempts"] * 3
    ),
    "a duration before zero": lambda report: report["steps"][0].update(duration_ms=-1),
}


@pytest.mark.parametrize("case", WRONG)
def test_schema_refuses_a_wrong_report(bundle: Bundle, case: str) -> None:
    report = copy.deepcopy(bundle.report())
    WRONG[case](report)
    with pytest.raises(ValidationError):
        valid(report)


def test_schema_describes_every_entry() -> None:
    """The schema must describe everything in the report."""

    def objects(schema: Any) -> Any:
        if isinstance(schema, dict):
            if "properties" in schema:
                yield schema
            for value in schema.values():
                yield from objects(value)

    for one in objects(SCHEMA):
        assert one["additionalProperties"] is False
        assert set(one["required"]) == set(one["properties"])


def test_names_are_unique_when_many_start_at_once(tmp_path: Path) -> None:
    """All in the same microsecond; some have finished when others start."""
    folder, now = tmp_path / "reports", datetime.now(timezone.utc)
    running, paths = [], set()
    for number in range(100):
        running.append(Draft(folder, "init", now))
        if number % 3 == 0:
            draft = running.pop(0)
            draft.write(json.dumps(number))
            paths.add(draft.path)
    for number, draft in enumerate(running, 100):
        draft.write(json.dumps(number))
        paths.add(draft.path)
    assert len(paths) == 100
    assert len({path.read_text() for path in paths}) == 100
    assert set(folder.iterdir()) == paths


def test_folder_that_cannot_be_synced_is_no_lost_report(faulty: Faulty, tmp_path: Path) -> None:
    result, hits = faulty("fsync:error=EINVAL:when=4", "init")
    assert hits == 1
    assert (result.returncode, result.stderr) == (0, "")
    assert len(reports(tmp_path / "reports")) == 1


def test_report_whose_draft_cannot_be_removed(faulty: Faulty, tmp_path: Path) -> None:
    result, hits = faulty("unlink,unlinkat,rename:error=EACCES", "pragma", on=tmp_path / "reports")
    assert "Traceback" not in result.stderr
    assert result.returncode == (3 if hits else 0)


def test_report_is_for_its_owner_only(bundle: Bundle) -> None:
    (path,) = bundle.reports.glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert bundle.reports.stat().st_mode & 0o777 == 0o700


def test_all_paths_are_absolute(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    invoke("init", "-d", "sub/../a.db", "-r", "sub/../r")
    (report,) = reports(tmp_path / "r")
    paths = [
        *report["deliverables"]["files_created"],
        report["orchestration_context"]["context_for_next_agent"]["database_path"],
    ]
    assert paths
    assert all(Path(path).is_absolute() and Path(path).exists() for path in paths)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_report_cannot_be_written_at_the_end(
    options: list[str], faulty: Faulty, tmp_path: Path
) -> None:
    """Its fsync fails after all steps succeeded: the work is done, but `init` reports a failure."""
    # The first two are of folders: that of the reports, and that of the database.
    result, hits = faulty("fsync:error=EIO:when=3+", "init", *options)
    assert hits
    assert "report: " not in result.stdout
    assert "execution_status" not in result.stdout
    assert "the report could not be written" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert result.returncode == 3
    assert not (tmp_path / "reports").exists()
    assert Bundle(tmp_path).run("verify") == 0
