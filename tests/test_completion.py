"""Completion in a shell, and `restore` alone, which lists what can be put back."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, in_shell, invoke_command

PREPARE = """
invoke() {{ {invoke} "$@"; }}
eval "$(invoke --print-completion-script bash)"
COMP_WORDS=({line})
_complete_invoke invoke "{last}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(folder: Path, line: str) -> list[str]:
    """What bash offers at the end of a line; a space there begins a new word."""
    last = "" if line.endswith(" ") else line.split()[-1]
    invoke = " ".join(invoke_command())
    script = PREPARE.format(invoke=invoke, line=line, last=last)
    result = in_shell(script, folder)
    assert result.stderr == ""
    return result.stdout.split()


@pytest.fixture
def kept(empty: Bundle, invoke: Invoke) -> Bundle:
    """A database with two kept states: before a rebuild, and of a failed step."""
    older.make(empty.path, 1)
    assert invoke("init").returncode == 0
    empty.sql("DROP TABLE metrics; CREATE VIEW metrics AS SELECT 1")
    assert invoke("init").returncode == 3
    return empty


def test_tasks_options_formats_files_and_states(kept: Bundle, tmp_path: Path) -> None:
    assert completed(tmp_path, "invoke ver") == ["verify"]
    assert "--format" in completed(tmp_path, "invoke verify --")
    assert completed(tmp_path, "invoke verify --format s") == ["sarif"]
    assert completed(tmp_path, "invoke verify --database aba")[0] == "abathur.db"
    assert completed(tmp_path, "invoke verify -r ") == [
        *sorted(f"{path.name}/" if path.is_dir() else path.name for path in tmp_path.iterdir())
    ]
    states = [f"reports/{path.name}" for path in kept.reports.iterdir() if path.is_dir()]
    assert completed(tmp_path, "invoke restore ") == sorted(states, reverse=True)
    assert completed(tmp_path, "invoke restore -r nowhere ") == []
    assert completed(tmp_path, "invoke backup -f aba")[0] == "abathur.db"
    assert completed(tmp_path, "invoke backup re") == ["reports/"]
    reports = [f"reports/{path.name}" for path in kept.reports.glob("*.json")]
    assert completed(tmp_path, "invoke show ") == sorted(reports, reverse=True)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_script(shell: str, invoke: Invoke, tmp_path: Path) -> None:
    script = invoke("--print-completion-script", shell).stdout
    assert "--complete" in script
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    (tmp_path / "script").write_text(script)
    assert in_shell(f"{shell} -n script", tmp_path).returncode == 0


def test_restore_alone_lists_the_states_newest_first(kept: Bundle, invoke: Invoke) -> None:
    result = invoke("restore")
    assert (result.returncode, result.stderr) == (0, "")
    first, *lines = result.stdout.splitlines()
    assert first == f"states of {kept.path} that can be put back, newest first:"
    assert "core failed: table metrics is missing" in lines[0]
    assert "before init rewrote rows" in lines[2]
    command = lines[3].strip().strip("`").split()
    assert command[:2] == ["invoke", "restore"]
    found = json.loads(invoke("restore", "--json").stdout)
    assert [Path(one["folder"]).name for one in found] == [
        *sorted((path.name for path in kept.reports.iterdir() if path.is_dir()), reverse=True)
    ]
    assert found[1]["bytes"] > 1000
    kept.sql("DROP VIEW metrics")
    assert invoke(*command[1:], INVOKE_DATABASE="another.db").returncode == 0
    assert kept.rows("SELECT name FROM sqlite_schema WHERE name = 'metrics'") != []
    assert not (kept.path.parent / "another.db").exists()
    assert "replaced by restore" in invoke("restore").stdout.splitlines()[1]


def test_restore_alone_where_nothing_is_kept(bundle: Bundle, invoke: Invoke) -> None:
    result = invoke("restore")
    assert result.returncode == 0
    assert result.stdout.startswith(f"no state of {bundle.path} is kept in ")
    assert invoke("restore", "--database", "other.db", "--json").stdout == "[]\n"
