"""The GitHub Action and the pre-commit hook, by running their steps as those services do."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from invoke.vendor.yaml import safe_load

from tests.support.bundle import Bundle
from tests.support.commands import ROOT, environment

HERE = Path(sys.executable).parent
"""Where this environment has the console command."""


def read(name: str) -> Any:
    """A YAML file of the checkout."""
    return safe_load((ROOT / name).read_text("utf-8"))  # type: ignore[no-untyped-call]


def in_bash(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment() | {"PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def action(
    folder: Path, *, workspace: Path = ROOT, **given: str
) -> list[subprocess.CompletedProcess[str]]:
    """Run the steps of the action in `folder`, with the inputs that are `given`; in its checkout,
    which is the workspace.
    """
    described: dict[str, Any] = read("action.yml")
    inputs = {name: one["default"] for name, one in described["inputs"].items()} | given
    temporary = folder / "runner"
    temporary.mkdir(exist_ok=True)
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_OUTPUT": str(temporary / "output"),
        "GITHUB_STEP_SUMMARY": str(temporary / "summary.md"),
        "RUNNER_TEMP": str(temporary),
    }
    ran = []
    for step in described["runs"]["steps"]:
        if "inputs.task != 'plan'" in step.get("if", "") and inputs["task"] == "plan":
            continue
        filled = {
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: inputs[match[1]], value)
            for name, value in step.get("env", {}).items()
        }
        ran.append(in_bash(step["run"], folder, **variables, **filled))
        if ran[-1].returncode and "!cancelled()" not in str(described["runs"]["steps"][-1]):
            break
    return ran


def test_action_proves_annotates_and_shows(bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql("DROP INDEX idx_agents_state")
    install, run, page = action(tmp_path, python=sys.executable)
    assert install.returncode == 0, install.stderr
    assert run.returncode == 1
    assert "::error file=sql/core-indexes.sql,line=" in run.stderr
    assert "2 of 94 checks failed" in (tmp_path / "runner" / "summary.md").read_text("utf-8")
    assert page.returncode == 0, page.stderr
    output = (tmp_path / "runner" / "output").read_text("utf-8")
    assert Path(output.strip().removeprefix("page=")).is_file()
    (tmp_path / "runner" / "output").unlink()
    _, wrong, none = action(tmp_path, python=sys.executable, database="nowhere.db")
    assert (wrong.returncode, none.returncode) == (2, 0)
    assert not (tmp_path / "runner" / "output").exists()
    _, planned = action(tmp_path, task="plan", python=sys.executable)
    assert planned.returncode == 1
    assert "would run 1 statement" in (tmp_path / "runner" / "summary.md").read_text("utf-8")


@pytest.mark.parametrize("sound", [True, False])
def test_hook_tries_the_declared_schema(sound: bool, tmp_path: Path) -> None:
    (hook,) = read(".pre-commit-hooks.yaml")
    own = tmp_path / "own" / "sql"
    own.mkdir(parents=True)
    index = "CREATE INDEX mine ON tasks(created_by);" if sound else "CREATE INDEX mine ON tasks(x);"
    (own / "core-indexes.sql").write_text(index)
    plans = tmp_path / "own" / "checks" / "plans"
    plans.mkdir(parents=True)
    query = "-- Mine\n-- index: mine\nSELECT id FROM tasks WHERE created_by = :who;\n"
    (plans / "mine.sql").write_text(query)
    command = " ".join([hook["entry"], "--schema", shlex.quote(str(tmp_path / "own"))])
    (tmp_path / "some where").mkdir()
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "mine").touch()
    result = in_bash(command, tmp_path, TMPDIR=str(tmp_path / "some where"))
    assert (result.returncode, result.stdout) == (0 if sound else 2, "")
    assert not [*(tmp_path / "some where").iterdir()]
    assert (tmp_path / "some" / "mine").exists()
    assert ("no such column: x" in result.stderr) != sound
    files = re.compile(hook["files"])
    assert files.search("own/sql/core-indexes.sql")
    assert not files.search("docs/schema.md")
