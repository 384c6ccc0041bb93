"""The commands of the README and of the reference run in order, and print what is shown."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT, environment
from tests.support.machine import need

README, REFERENCE = ROOT / "README.md", ROOT / "docs" / "reference.md"
PAGES = [README, REFERENCE, ROOT / "docs" / "page.md", ROOT / "docs" / "operation.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEM = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
NEWER = "20261124T133000.123456Z"
SHOWN_FOLDER = "/home/you/abathur"
INSTALL = "python3 -m venv .venv"
TASK = re.compile(r"^\| `invoke ([a-z-]+)(?: STATE| \[FOLDER\]| \[RULES\])?` \|", re.MULTILINE)
OPTION = re.compile(r"^\| `(--[a-z-]+)[^|]*\| ([^|]*) \|", re.MULTILINE)
FIELD = re.compile(r"^\| `([a-z_]+)` \|", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text("utf-8")) if found == language]


def section(page: Path, title: str) -> str:
    """The text of a page from a heading to the next one."""
    return page.read_text("utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with its output."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def plain(text: str, folder: Path) -> str:
    """The text without what differs between runs: times, paths, white space before a time."""
    text = re.sub(r"before [-0-9]{10} [:0-9]{8}$", "before TIME", text, flags=re.MULTILINE)
    text = STEM.sub("STEM", text.replace(str(folder), SHOWN_FOLDER))
    return re.sub(r" +\d+ ms$", " N ms", text, flags=re.MULTILINE)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what a clone of the repository contains."""
    need("git", "sqlite3", "make")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    folder = tmp_path / "abathur"
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def shell(command: str, folder: Path, *, installed: bool) -> str:
    """What a command of a page prints, errors included."""
    scripts = folder / ".venv" / "bin" if installed else Path(sys.executable).parent
    path = os.pathsep.join([str(scripts), f"{sys.base_prefix}/bin", os.environ["PATH"]])
    variables = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**variables, "PATH": path, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_console_command_prints_what_is_shown(page: Path, clone: Path) -> None:
    """The command that installs makes the environment for those after it; before, they use ours."""
    code, installed = 0, False
    shown = [pair for text in blocks(page, "console") for pair in commands(text)]
    assert shown
    for command, expected in shown:
        if command == "echo $?":
            assert f"{code}\n" == expected
            continue
        stems = sorted(path.stem for path in clone.glob("reports/*.json"))
        command = re.sub(f"{NEWER}-(init|backup)", stems[-1] if stems else "", command)
        printed = shell(f"{command}\necho $?", clone, installed=installed)
        installed = installed or INSTALL in command
        output, _, last = printed.rstrip("\n").rpartition("\n")
        output, code = output + "\n" if output else "", int(last)
        if expected.startswith("...\n"):
            expected = expected.removeprefix("...\n")
            output = "".join(output.splitlines(keepends=True)[-expected.count("\n") :])
        assert plain(output, clone) == plain(expected, clone), command


def test_every_console_block_is_on_a_page_that_is_run() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert page in PAGES or not blocks(page, "console"), page.name


def test_makefile(clone: Path) -> None:
    (text,) = blocks(README, "make")
    (clone / "Makefile").write_text(text)
    command = "make --silent database"
    variables = environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run(command.split(), cwd=clone, env=variables, check=True)
    assert (clone / "database.db").is_file()


def test_ci_job(clone: Path) -> None:
    (text,) = blocks(README, "yaml")
    install, *runs = re.findall(r"^  - run: (.*)$", text, re.MULTILINE)
    assert install.startswith(INSTALL)
    scripts = Path(sys.executable).parent
    for run in runs:
        command = run.replace(".venv/bin/", f"{scripts}/")
        subprocess.run(command.split(), cwd=clone, env=environment(), check=True)
    assert len(list((clone / "ci-reports").glob("*.json"))) == 2


def test_command_of_the_tests_is_what_ci_runs() -> None:
    (command,) = blocks(README, "sh")
    assert f"\n{command}" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_every_task_and_option_is_in_the_reference(clone: Path) -> None:
    listed = shell("invoke --list", clone, installed=False)
    tasks = set(re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE))
    assert set(TASK.findall(section(REFERENCE, "Tasks"))) == tasks
    options = {
        (option, task)
        for option, of in OPTION.findall(section(REFERENCE, "Options"))
        for task in (tasks if of == "all" else re.findall(r"`([a-z-]+)`", of))
    }
    found = set()
    for task in tasks:
        text = shell(f"invoke --help {task}", clone, installed=False)
        for no, name in re.findall(r", --(\[no-\])?([a-z-]+)", text):
            found.add((f"--no-{name}" if no else f"--{name}", task))
    # These need no option.
    unnamed = {("--state", "restore"), ("--report", "show"), ("--folder", "backup")} | {
        ("--rules", "forget")
    }
    assert options == found - unnamed


def test_every_field_of_a_report_is_in_the_reference(clone: Path) -> None:
    report = json.loads(shell("invoke pragma --json", clone, installed=False))
    assert FIELD.findall(section(REFERENCE, "The report")) == list(report)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_is_in_a_clone(page: Path, clone: Path) -> None:
    folder = clone / page.parent.relative_to(ROOT)
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        assert (folder / link).exists(), link
