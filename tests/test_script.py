"""The script, and what importing the package loads."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.bundle import Bundle, reports
from tests.support.commands import ROOT, environment, in_shell, script
from tests.support.inserts import STATE

PASSED = "Database initialized successfully\nForeign key validation: PASSED\n"


@pytest.mark.parametrize("arguments", [(), ("new/swarm.db",)])
def test_script_on_a_new_and_then_an_existing_path(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    for _ in range(2):
        result = script(tmp_path, *arguments)
        assert (result.returncode, result.stdout, result.stderr) == (0, PASSED, "")
    assert (tmp_path / (arguments[0] if arguments else "abathur.db")).is_file()


def test_script_names_each_violation(bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql(
        f"{STATE.replace('?', chr(39) + 'nobody' + chr(39))};"
        "INSERT INTO checkpoints (task_id, iteration, state, created_at)"
        " VALUES ('gone', 7, '{}', '')"
    )
    result = script(tmp_path, "abathur.db")
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "Database initialized successfully",
        "WARNING: foreign key violations: 2",
        "  row 1 of state references a row of tasks that does not exist (key 0)",
        "  row 1 of checkpoints references a row of tasks that does not exist (key 1)",
    ]


def test_script_on_wrong_input(tmp_path: Path) -> None:
    for arguments in ([str(tmp_path)], ["a", "b"], ["--nonsense"]):
        result = script(tmp_path, *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert "Traceback" not in result.stderr


def test_script_when_a_step_fails(tmp_path: Path) -> None:
    (tmp_path / "abathur.db").write_text("no database")
    result = script(tmp_path)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("pragma failed: file is not a database")
    assert "Traceback" not in result.stderr
    assert len(reports(tmp_path / "reports")) == 1


def test_script_names_a_key_that_cannot_be_checked_beside_the_violations(
    bundle: Bundle, tmp_path: Path
) -> None:
    bundle.sql(
        f"{STATE.replace('?', chr(39) + 'nobody' + chr(39))};"
        "CREATE TABLE p (a); CREATE TABLE q (a REFERENCES p(a))"
    )
    result = script(tmp_path)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.splitlines()[1:] == [
        "WARNING: foreign key violations: 2",
        "  row 1 of state references a row of tasks that does not exist (key 0)",
        "  q references columns of p that do not exist or are not unique",
    ]


def test_script_takes_the_name_of_an_unknown_user_as_it_is(tmp_path: Path) -> None:
    result = script(tmp_path, "~nosuch/x.db")
    assert (result.returncode, result.stdout, result.stderr) == (0, PASSED, "")
    assert (tmp_path / "~nosuch" / "x.db").is_file()


@pytest.mark.parametrize("output", ["| true", "> /dev/full"])
def test_script_whose_output_nobody_reads(tmp_path: Path, output: str) -> None:
    path = ROOT / "scripts" / "initialize_database.py"
    line = f"set -o pipefail; {sys.executable} {path} a.db {output}"
    result = in_shell(line, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nothing tells what it has open")
def test_script_that_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        program = ROOT / "scripts" / "initialize_database.py"
        running = subprocess.Popen(
            [sys.executable, str(program), str(path)],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        while path not in map(Path.resolve, Path(f"/proc/{running.pid}/fd").iterdir()):
            time.sleep(0.05)  # it is still being loaded
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert said == "interrupted; run the same command again to finish\n"


def test_import_of_the_package_loads_nothing_else() -> None:
    program = "import sys; import abathur_schema; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    ours = {name for name in loaded if name.startswith("abathur_schema")}
    assert ours == {"abathur_schema"}
    assert not {"aiosqlite", "asyncio", "invoke", "sqlite3", "sqlite_utils"} & set(loaded)


def test_commands_never_load_what_only_applications_need(tmp_path: Path) -> None:
    program = (
        "import sys; from abathur_schema.commands.tasks import run_task\n"
        "assert run_task('init', 'abathur.db', 'reports', False) == 0\n"
        "print('aiosqlite' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == "False"


def test_unknown_name_of_the_package() -> None:
    import abathur_schema

    with pytest.raises(AttributeError, match="nothing"):
        abathur_schema.nothing  # noqa: B018
