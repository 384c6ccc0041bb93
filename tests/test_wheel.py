"""The wheel in an empty environment, without the checkout: console command and `Database`."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from abathur_schema.declared.declaration import declared
from tests.support.bundle import reports
from tests.support.commands import ROOT, environment

COMMANDS = [
    # what is typed, exit code, what is printed (of either stream)
    ("abathur-schema init", 0, "checks passed"),
    ("abathur-schema init", 0, "memory-indexes  unchanged"),
    ("abathur-schema verify --json", 0, '"status": "SUCCESS"'),
    ("abathur-schema core --database none.db", 2, "Run `abathur-schema pragma --database "),
    ("abathur-schema pragma -d new.db", 0, "journal_mode delete -> wal"),
    ("abathur-schema memory-indexes -d new.db", 2, "Run `abathur-schema memory --database "),
    ("abathur-schema nonsense", 2, "`abathur-schema --list` shows the tasks"),
    ("abathur-schema init --nonsense", 2, "`abathur-schema --help TASK`"),
    ("abathur-schema --version", 0, "abathur-schema 0."),
    ("INVOKE_DATABASE=new.db abathur-schema core", 0, "core            8 tables made"),
    ("echo 'database: named.db' > own.yaml; abathur-schema -f own.yaml pragma", 0, "delete -> wal"),
    (
        "env -u LD_LIBRARY_PATH sqlite3 taken.db 'CREATE VIEW audit AS SELECT 1';"
        " abathur-schema init -d taken.db",
        3,
        "core",
    ),
    ("grep -F exits reports/*init/escalation.md", 0, "- `abathur-schema init --database "),
    ("abathur-schema restore -d taken.db", 0, "core failed: table audit is missing"),
    ("abathur-schema docs -o -", 0, "Written by `abathur-schema docs`"),
    ("abathur-schema --print-completion-script bash", 0, "complete -F _complete_abathur-schema"),
    ("abathur-schema verify --format junit", 0, "<testsuites>"),
    ("abathur-schema show", 2, "pip install 'abathur-schema[show]'"),
    ("pip install --quiet jinja2 && abathur-schema show", 0, "page: "),
]

APPLICATION = """
import asyncio
from abathur_schema import Database, query

async def main():
    async with Database("app/swarm.db") as db:
        print(await db.validate_foreign_keys(), (await db.get_index_usage())["index_count"])
        print(await db.fetch("next-task", status="ready", limit=1))

asyncio.run(main())
"""


def run(command: str, folder: Path, scripts: Path) -> tuple[int, str]:
    variables = {name: text for name, text in environment().items() if name != "PYTHONPATH"}
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**variables, "PATH": f"{scripts}:{variables['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout


@pytest.mark.skipif(not (ROOT / "LICENSE").exists(), reason="only from a checkout")
def test_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    scripts = tmp_path / "venv" / "bin"
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    code, output = run(
        f"{sys.executable} -m pip wheel --quiet --no-deps --wheel-dir {tmp_path} {ROOT}"
        f" && {sys.executable} -m venv {tmp_path / 'venv'}"
        f" && {scripts}/pip install --quiet {tmp_path}/*.whl",
        folder,
        scripts,
    )
    assert code == 0, output
    for command, expected, shown in COMMANDS:
        code, output = run(command, folder, scripts)
        assert (code, shown in output) == (expected, True), f"{command}\n{output}"
        assert "Traceback" not in output
        assert "`invoke " not in output
    assert len(reports(folder / "reports")) == 9
    indexes = sum(index.origin == "c" for index in declared().schema.indexes.values())
    code, output = run(f"python -c '{APPLICATION}'", folder, scripts)
    assert (code, output) == (0, f"[] {indexes}\n[]\n")
    code, output = run("abathur-schema verify -d app/swarm.db", folder, scripts)
    assert (code, "checks passed" in output) == (0, True)

    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "abathur_schema/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "benchmarks/"))]


def test_command_has_the_tasks_of_the_checkout(tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    listed = {
        command: run(f"{command} --list", folder, scripts)[1].split("\n\n")[1]
        for command, folder in (("abathur-schema", tmp_path), ("invoke", ROOT))
    }
    assert listed["abathur-schema"] == listed["invoke"]
    assert "memory-indexes" in listed["invoke"]
