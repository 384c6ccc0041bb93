"""The README's commands are run, one after the other, and what it shows is what they print."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, need

README = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEM = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
NEWER = "20261124T133000.123456Z"
SHOWN_FOLDER = "/home/you/abathur"
INSTALL = "python3 -m venv .venv"


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(README) if found == language]


def commands(text: str) -> list[tuple[str, str]]:
    """Pairs of command and output of a console block."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def plain(text: str, folder: Path) -> str:
    """The text without what differs from run to run: times, paths, white space before a time."""
    text = STEM.sub("STEM", text.replace(str(folder), SHOWN_FOLDER))
    return re.sub(r" +\d+ ms$", " N ms", text, flags=re.MULTILINE)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what a clone of the repository has."""
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
    """What a command of the README prints, errors included."""
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


def test_every_console_command_prints_what_is_shown(clone: Path) -> None:
    """The first of them makes the environment that the others use."""
    code = 0
    for command, expected in [pair for text in blocks("console") for pair in commands(text)]:
        if command == "echo $?":
            assert f"{code}\n" == expected
            continue
        stems = sorted(path.stem for path in clone.glob("reports/*.json"))
        command = command.replace(NEWER + "-init", stems[-1] if stems else "")
        printed = shell(f"{command}\necho $?", clone, installed=INSTALL not in command)
        output, _, last = printed.rstrip("\n").rpartition("\n")
        output, code = output + "\n" if output else "", int(last)
        if expected.startswith("...\n"):
            expected = expected.removeprefix("...\n")
            output = "".join(output.splitlines(keepends=True)[-expected.count("\n") :])
        assert plain(output, clone) == plain(expected, clone), command


def test_makefile(clone: Path) -> None:
    (text,) = blocks("make")
    (clone / "Makefile").write_text(text)
    command = "make --silent database"
    variables = environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run(command.split(), cwd=clone, env=variables, check=True)
    assert (clone / "database.db").is_file()


def test_ci_job(clone: Path) -> None:
    (text,) = blocks("yaml")
    install, *runs = re.findall(r"^  - run: (.*)$", text, re.MULTILINE)
    assert install.startswith(INSTALL)
    scripts = Path(sys.executable).parent
    for run in runs:
        command = run.replace(".venv/bin/", f"{scripts}/")
        subprocess.run(command.split(), cwd=clone, env=environment(), check=True)
    assert len(list((clone / "ci-reports").glob("*.json"))) == 2


def test_command_of_the_tests_is_what_ci_runs() -> None:
    (command,) = blocks("sh")
    assert f"\n{command}" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_every_task_and_link_is_there(clone: Path) -> None:
    listed = shell("invoke --list", clone, installed=False)
    tasks = set(re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE))
    assert set(re.findall(r"^\| `invoke ([a-z-]+)(?: STATE)?` \|", README, re.MULTILINE)) == tasks
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (clone / link).exists()
