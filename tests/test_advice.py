"""The commands in what is advised can be copied, and act on the same database."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from abathur_schema.wording import quote
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, invoke_command, run

ODD = ["a b", "a'b", "a`b", "a\nb", "a\tb", "x `invoke init` y", "\x1b[1m", "\\x41", "a\u202eb"]


@pytest.mark.parametrize("name", [*ODD, os.fsdecode(b"b\xff1")])
def test_odd_paths_are_one_word_of_a_shell(name: str) -> None:
    said = quote(name)
    assert said.isprintable()
    assert "`" not in said
    told = subprocess.run(["bash", "-c", f"printf %s {said}"], capture_output=True, check=True)
    assert told.stdout == os.fsencode(name)


@pytest.mark.parametrize("name", ["a\tb.db", "x `invoke init` y.db", os.fsdecode(b"b\xff.db")])
def test_what_is_copied_from_an_odd_path_makes_no_other_database(
    name: str, bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    bundle.sql("DROP INDEX idx_agents_state")
    shutil.copy(bundle.path, tmp_path / name)
    result = invoke("verify", "--database", name)
    (said,) = re.findall("what `invoke (init .*?)` would do about it", result.stdout)
    before = {*tmp_path.glob("*db")}
    command = f"{shlex.join(invoke_command())} {said}"
    assert run(["bash", "-c", command], tmp_path).returncode == 0
    assert {*tmp_path.glob("*db")} == before
    assert invoke("verify", "--database", name).returncode == 0


def test_configuration_of_other_paths_is_not_taken_for_ours(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql("DROP INDEX idx_agents_state")
    here = f"--database {bundle.path}"
    assert here not in invoke("verify").stdout
    assert here in invoke("verify", "-d", "abathur.db", INVOKE_DATABASE="other.db").stdout
    said = invoke("verify", "-r", "reports", INVOKE_REPORTS="others").stdout
    assert f"`invoke init {here} --reports {bundle.reports}`" in said


def test_every_command_names_the_database(bundle: Bundle, invoke: Invoke, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    bundle.sql("DROP INDEX idx_agents_state")
    shutil.copy(bundle.path, other)
    (tmp_path / "file").touch()
    options = ("--database", "other.db", "--reports", "own")
    with_both = f"--database {other} --reports {tmp_path / 'own'}"
    status = invoke("status", *options).stdout
    assert f"`invoke plan {with_both}`" in status
    assert f"`invoke verify {with_both}`" in status
    assert f"`invoke forget RULE,RULE {with_both}`" in invoke("forget", *options).stdout
    failed = invoke("backup", "file/below", *options).stderr
    assert f"`invoke backup FOLDER {with_both}`" in failed
    for form in ("junit", "sarif", "github"):
        said = invoke("plan", "--format", form, *options)
        assert f"run `invoke init {with_both}`" in said.stdout + said.stderr
    gone = invoke("verify", "--database", "gone.db")
    assert f"`invoke init --database {tmp_path / 'gone.db'}`" in gone.stderr


def test_status_as_data_names_the_command_as_it_is_called(bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql("DROP INDEX idx_agents_state")
    script = "from abathur_schema.cli import program; program.run()"
    result = run([sys.executable, "-c", script, "status", "--json"], tmp_path)
    assert f'"abathur-schema plan --database {bundle.path}"' in result.stdout
