"""Wrong input is refused with a message that helps, and touches nothing."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import older
from tests.support.bundle import Bundle, reports
from tests.support.commands import (
    INVOKE_INIT,
    Invoke,
    environment,
    in_shell,
    invoke_command,
    no_trace,
    run,
)
from tests.support.fingerprints import files_below

WRONG_INPUT = {
    "a folder": ("init", ["-d", "folder"], "is a folder. Name a file"),
    "a folder, to verify": ("verify", ["-d", "folder"], "is a folder. Name a file"),
    "no file": ("verify", [], "there is no database at"),
    "no folder": ("verify", ["-d", "nowhere/a.db"], "Run `invoke init --database "),
    "no file for a step": ("core", [], "Run `invoke pragma` first"),
    "below a file": ("init", ["-d", "text.txt/a.db"], "Not a directory"),
    "in memory": ("init", ["-d", ":memory:"], "would be gone when this command ends"),
    "an empty path": ("init", ["-d", ""], "is not a path for the database"),
    "a device": ("init", ["-d", "/dev/null"], "is not a regular file"),
    "a link to nothing": ("init", ["-d", "dangling.db"], "is a link to a file that does not"),
    "a path that is too long": ("init", ["-d", "x" * 300], "File name too long"),
    "a name that SQLite cannot lengthen": ("init", ["-d", "x" * 250], "File name too long"),
    "an unknown option": ("init", ["--force"], "No idea what '--force' is!"),
    "an unknown task": ("initialise", [], "No idea what 'initialise' is!"),
    "an option without its value": ("init", ["-d"], "needed value and was not given one"),
    "reports in an empty path": ("init", ["-r", ""], "is not a path for the reports"),
    "reports where the database is to be": (
        "init",
        ["-r", "abathur.db"],
        "is where the database is",
    ),
    "reports in the place of the -wal": (
        "init",
        ["-r", "abathur.db-wal"],
        "is where the database is",
    ),
    "reports below the database": ("init", ["-r", "abathur.db/r"], "is where the database is"),
    "reports that are a file": ("init", ["-r", "text.txt"], "reports cannot be written to"),
}


@pytest.mark.parametrize("case", WRONG_INPUT)
def test_wrong_input_touches_nothing(case: str, invoke: Invoke, tmp_path: Path) -> None:
    task, options, message = WRONG_INPUT[case]
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "dangling.db").symlink_to("nothing")
    before = files_below(tmp_path)
    result = invoke(task, *options)
    assert result.returncode == 2
    assert message in result.stderr
    no_trace(result)
    assert files_below(tmp_path) == before
    assert not (tmp_path / "reports").exists()


def test_wrong_option_tells_where_to_look(invoke: Invoke) -> None:
    error = invoke("init", "--force").stderr
    assert error == (
        "No idea what '--force' is! `invoke --list` shows the tasks,"
        " `invoke --help TASK` options.\n"
    )


def test_configuration_that_cannot_be_read(
    checkout: Path, invoke_in: Invoke, tmp_path: Path
) -> None:
    for text in ("database: [a\n", "- a\n- b\n"):
        (checkout / "invoke.yaml").write_text(text)
        result = invoke_in("init")
        assert (result.returncode, result.stdout) == (2, "")
        assert "Invoke's configuration cannot be read. Fix it:" in result.stderr
        no_trace(result)
        assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_configuration_file_that_is_not_there(invoke: Invoke, tmp_path: Path) -> None:
    """A slip in its name must not have another database made."""
    result = invoke("-f", "nowhere.yaml", "init")
    assert (result.returncode, result.stdout) == (2, "")
    assert "there is no nowhere.yaml" in result.stderr
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("text", ["- a\n", "reports: {a: 1}\n", "database: [a\n"])
@pytest.mark.parametrize("place", ["named", "home"])
def test_configuration_of_the_console_command(place: str, text: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    file = tmp_path / "c.yaml" if place == "named" else home / ".invoke.yaml"
    file.write_text(text)
    options = ["-f", str(file)] if place == "named" else []
    console = str(Path(sys.executable).with_name("abathur-schema"))
    result = run([console, *options, "status"], tmp_path, HOME=str(home))
    assert (result.returncode, result.stdout) == (2, "")
    assert "Invoke's configuration cannot be read. Fix it:" in result.stderr
    no_trace(result)


WRONG_CONFIGURATION = {
    'database: "a\\uD800.db"\n': "is not a path for the database",
    "database:\n": "None is not a path for the database",
    "database: [a, b]\n": "['a', 'b'] is not a path for the database",
    "reports: 7\n": "7 is not a path for the reports",
}


@pytest.mark.parametrize("text", WRONG_CONFIGURATION)
def test_wrong_configuration(text: str, checkout: Path, invoke_in: Invoke, tmp_path: Path) -> None:
    (checkout / "invoke.yaml").write_text(text)
    result = invoke_in("init")
    assert result.returncode == 2
    assert WRONG_CONFIGURATION[text] in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_working_directory_that_is_gone(tmp_path: Path) -> None:
    result = in_shell(f"mkdir gone; cd gone; rmdir ../gone; {INVOKE_INIT}", tmp_path)
    assert result.returncode == 2
    assert "the working directory is gone" in result.stderr
    no_trace(result)


def test_fifo_is_refused_and_not_opened(invoke: Invoke, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = invoke("init", "-d", "pipe")
    assert (result.returncode, "not a regular file" in result.stderr) == (2, True)


ORDER = {
    "core-indexes": ("pragma", "core"),
    "memory-indexes": ("pragma", "memory", "core"),
    "core": ("pragma",),
    "memory": ("pragma",),
}


@pytest.mark.parametrize("step", ORDER)
def test_step_says_which_step_comes_first(step: str, empty: Bundle, capsys: Any) -> None:
    empty.path.touch()
    for needed in ORDER[step]:
        before = empty.path.read_bytes()
        assert empty.run(step) == 2
        assert f"Run `invoke {needed} --database " in capsys.readouterr().err
        assert empty.path.read_bytes() == before
        assert empty.run(needed) == 0


# Before the step that brings a table up to date, it has columns too few for our indexes.
OLDER_ORDER = {"core-indexes": ("core",), "memory-indexes": ("memory", "core")}


@pytest.mark.parametrize("generation", [1, 2, 3])
@pytest.mark.parametrize("step", OLDER_ORDER)
def test_step_on_an_older_database_says_which_step_comes_first(
    step: str, generation: int, empty: Bundle, capsys: Any
) -> None:
    older.make(empty.path, generation)
    assert empty.run("pragma") == 0
    for needed in OLDER_ORDER[step]:
        before = empty.path.read_bytes()
        assert empty.run(step) == 2
        assert f"Run `invoke {needed} --database " in capsys.readouterr().err
        assert empty.path.read_bytes() == before
        assert empty.run(needed) == 0
    assert empty.run(step) == 0


@pytest.mark.parametrize(
    "path",
    [
        "with space.db",
        "a'quote\".db",
        "what?.db",
        "mode=ro?mode=memory.db",
        "a#b.db",
        "100%41.db",
        "a;b.db",
        "größe-数据.db",
        "-leading.db",
        "deep/er/still.db",
        ".hidden",
        "file:x.db",
    ],
)
def test_odd_paths_are_taken_as_they_are(path: str, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("init", f"--database={path}")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / path).is_file()
    assert invoke("verify", f"--database={path}").returncode == 0
    found = reports(tmp_path / "reports")
    expected = str(tmp_path / path)
    assert [one["deliverables"]["files_created"][-1:] for one in found] == [[expected], []]
    assert all(
        one["orchestration_context"]["context_for_next_agent"]["database_path"] == expected
        for one in found
    )


def test_path_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xff.db")
    command = invoke_command("init", "-d", name)
    result = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert (tmp_path / name).is_file()


def test_reports_behind_links_in_a_circle(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    result = invoke("init", "-r", "a/reports")
    assert result.returncode == 2
    assert "reports cannot be written to" in result.stderr
    no_trace(result)


def test_sqlite_that_is_too_old(invoke: Invoke, tmp_path: Path) -> None:
    library = os.environ.get("OLD_SQLITE")
    if not library:
        pytest.skip("OLD_SQLITE does not name a folder with an SQLite before 3.37")
    result = invoke("init", LD_LIBRARY_PATH=library)
    assert result.returncode == 2
    assert "is too old; 3.37.0 or newer is needed" in result.stderr
    assert list(tmp_path.iterdir()) == []
