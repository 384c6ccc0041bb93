"""What CI systems read: JUnit's XML, SARIF, and GitHub's annotations and summaries."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.bundle import Bundle
from tests.support.commands import ROOT, Invoke

DRIFT = (
    "DROP INDEX idx_agents_state; DROP INDEX idx_tasks_parent;"
    "CREATE INDEX idx_tasks_parent ON tasks(status);"
    "ALTER TABLE tasks DROP COLUMN error_message"
)
COMMAND = re.compile(r"::(error|notice) (?:file=([^,]+),line=(\d+),)?title=([^:]*)::(.*)")


def declared_at(file: str, line: int) -> str:
    """The line of a file of the checkout."""
    return (ROOT / file).read_text("utf-8").splitlines()[line - 1]


def test_junit_has_a_test_case_for_each_step_and_check(bundle: Bundle, invoke: Invoke) -> None:
    result = invoke("init", "--format", "junit")
    assert (result.returncode, result.stderr) == (0, "")
    suite = ElementTree.fromstring(result.stdout.encode())[0]
    report = bundle.report()
    names = [step["name"] for step in report["steps"][:-1]]
    names += [check["name"] for check in report["checks"]]
    assert [case.get("name") for case in suite.iter("testcase")] == names
    assert suite.attrib | {"time": "", "timestamp": ""} == {
        "name": "abathur-schema init",
        "tests": str(len(names)),
        "failures": "0",
        "errors": "0",
        "skipped": "0",
        "time": "",
        "timestamp": "",
    }


def test_junit_of_faults(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(DRIFT)
    result = invoke("verify", "--format", "junit")
    assert (result.returncode, result.stderr) == (1, "")
    suite = ElementTree.fromstring(result.stdout.encode())[0]
    failed = {case.get("name"): case[0] for case in suite.iter("testcase") if len(case)}
    failures = {name: case for name, case in failed.items() if case.tag == "failure"}
    assert suite.get("failures") == str(len(failures))
    assert failures.keys() == bundle.failed().keys()
    missing = failures["core: as declared"]
    assert missing.get("message") == "table tasks: column error_message is missing"
    assert "sql/core.sql:" in str(missing.text)
    assert "`invoke plan`" in str(missing.text)


def test_junit_of_a_failed_step(empty: Bundle, invoke: Invoke) -> None:
    empty.sql("CREATE VIEW audit AS SELECT 1")
    result = invoke("init", "--format", "junit")
    assert result.returncode == 3
    suite = ElementTree.fromstring(result.stdout.encode())[0]
    states = {case.get("name"): [one.tag for one in case] for case in suite.iter("testcase")}
    assert states == {
        "pragma": [],
        "core": ["error"],
        "core-indexes": ["skipped"],
        "memory": ["skipped"],
        "memory-indexes": ["skipped"],
        "verify": ["skipped"],
    }


@pytest.mark.parametrize("task", ["init", "verify", "plan"])
@pytest.mark.parametrize("state", ["well", "drift", "hostile"])
def test_junit_keeps_to_the_schema_of_ci_servers(
    task: str, state: str, bundle: Bundle, invoke: Invoke
) -> None:
    xmlschema = pytest.importorskip("xmlschema")
    if state == "drift":
        bundle.sql(DRIFT)
    elif state == "hostile":
        bundle.sql('CREATE VIEW "\x1b\x07<&]]>\x0b\ufffe\uffff" AS SELECT * FROM nowhere')
    content = invoke(task, "--format", "junit").stdout
    xmlschema.XMLSchema(str(ROOT / "tests" / "support" / "junit-10.xsd")).validate(content)


def test_sarif_has_a_rule_for_each_check_and_names_lines(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(DRIFT)
    found = json.loads(invoke("verify", "--format", "sarif").stdout)
    assert found["version"] == "2.1.0"
    (run,) = found["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    places = {
        result["message"]["text"]: result["locations"][0]["physicalLocation"]
        for result in run["results"]
        if result["level"] == "error"
    }
    missing = places["core-indexes: as declared: index idx_agents_state is missing"]
    assert missing["artifactLocation"]["uri"].endswith("/sql/core-indexes.sql")
    line = declared_at("sql/core-indexes.sql", missing["region"]["startLine"])
    assert line.startswith("CREATE INDEX idx_agents_state ")


def annotated(stderr: str) -> list[tuple[Any, ...]]:
    return [match.groups() for match in map(COMMAND.fullmatch, stderr.splitlines()) if match]


@pytest.mark.parametrize("asked", ["option", "environment"])
def test_github_annotates_the_lines_that_declare_what_is_wrong(
    asked: str, bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    bundle.sql(DRIFT)
    summary = tmp_path / "summary.md"
    variables = {"GITHUB_WORKSPACE": str(ROOT), "GITHUB_STEP_SUMMARY": str(summary)}
    if asked == "option":
        result = invoke("verify", "--format", "github", **variables)
    else:
        result = invoke("verify", GITHUB_ACTIONS="true", **variables)
    assert result.returncode == 1
    assert result.stdout.startswith("verify          FAILED: 5 of 94 checks")
    found = {
        text.partition("%0A")[0]: (file, line)
        for _, file, line, _, text in annotated(result.stderr)
    }
    lines = {
        text: (file, " ".join(declared_at(file, int(line)).split()[:3]))
        for text, (file, line) in found.items()
        if file and file.startswith("sql/")
    }
    assert lines == {
        "table tasks: column error_message is missing": ("sql/core.sql", "error_message TEXT,"),
        "index idx_agents_state is missing": (
            *("sql/core-indexes.sql", "CREATE INDEX idx_agents_state"),
        ),
        "index idx_tasks_parent is on tasks(status); declared is tasks(parent_task_id)": (
            *("sql/core-indexes.sql", "CREATE INDEX idx_tasks_parent"),
        ),
        "foreign key (parent_task_id) -> tasks(id) of table tasks has no index": (
            *("sql/core.sql", "CREATE TABLE tasks"),
        ),
    }
    assert any(file == "checks/plans/agents-in-a-state.sql" for file, _ in found.values())
    text = summary.read_text("utf-8")
    assert text.startswith("### invoke verify\n")
    assert "index idx&#95;agents&#95;state is missing" in text


def test_plan_annotates_on_standard_error_and_summarizes(
    bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    bundle.sql(DRIFT)
    plain = invoke("plan").stdout
    summary = tmp_path / "summary.md"
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    result = invoke("plan", **variables)
    assert (result.returncode, result.stdout) == (1, plain)
    assert len(annotated(result.stderr)) >= 3
    assert "<summary>SQL</summary>" in summary.read_text("utf-8")
    checked = invoke("plan", "--check")
    assert checked.returncode == 1
    assert checked.stdout.startswith("### invoke plan\n\n`invoke init` would run")
    assert plain.strip() in checked.stdout
    assert invoke("init").returncode == 0
    assert "Nothing to do" in invoke("plan", "--check").stdout


def test_findings_cannot_write_commands_of_their_own(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql('CREATE VIEW "v\n::error::owned %0A::error::owned" AS SELECT * FROM nowhere')
    result = invoke("verify", GITHUB_ACTIONS="true")
    assert [line for line in result.stderr.splitlines() if line.startswith("::error")] == []
    assert [line for line in result.stdout.splitlines() if line.startswith("::")] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("verify", "--format", "xml"), "'xml' is not a format. Name one of text, json"),
        (("plan", "--format", "junit", "--json"), "contradict each other"),
        (("init", "--quiet", "--verbose"), "contradict each other"),
    ],
)
def test_formats_that_do_not_exist_or_contradict(
    arguments: tuple[str, ...], says: str, invoke: Invoke, tmp_path: Path
) -> None:
    result = invoke(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []
