"""How the repository is laid out: short files, and a page in each folder that names them all."""

from pathlib import Path

import pytest

from tests import support
from tests.support.commands import ROOT

FOLDERS = ("abathur_schema", "benchmarks", "scripts", "tests")
SOURCES = [ROOT / "tasks.py", *(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))]


def test_no_python_file_is_longer_than_three_hundred_lines() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {path: lines for path, lines in lengths.items() if lines > 300} == {}


def test_page_of_the_support_modules_names_them_all() -> None:
    page = support.__doc__ or ""
    modules = {path.stem for path in (ROOT / "tests" / "support").glob("[!_]*.py")}
    assert {name for name in modules if f"`{name}" not in page} == set()


@pytest.mark.parametrize("folder", ["benchmarks", "tests/campaigns"])
def test_page_of_a_folder_names_all_that_can_be_run(folder: str) -> None:
    page = (ROOT / folder / "README.md").read_text("utf-8")
    commands = [path for path in (ROOT / folder).glob("*.py") if is_a_command(path)]
    package = folder.replace("/", ".")
    assert commands
    assert [path.stem for path in commands if f"-m {package}.{path.stem}" not in page] == []


def is_a_command(path: Path) -> bool:
    return '\nif __name__ == "__main__":\n' in path.read_text("utf-8")
