"""`docs` writes the schema as a document, and docs/schema.md is up to date."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.campaigns import hostile_files
from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import ROOT, Invoke

STALE = "docs/schema.md is stale. Run `invoke docs`."


def test_page_in_the_repository_is_up_to_date(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    result = invoke("docs")
    assert (result.returncode, result.stderr) == (0, "")
    written = tmp_path / "docs" / "schema.md"
    assert result.stdout == f"written: {written}\n"
    assert written.read_text("utf-8") == (ROOT / "docs" / "schema.md").read_text("utf-8"), STALE
    assert invoke("docs").stdout == f"unchanged: {written}\n"


def test_page_says_what_sql_says(invoke: Invoke) -> None:
    page = invoke("docs", "--output", "-").stdout
    assert "| `prompt` | TEXT | no |  | what to do, in words |" in page
    assert "| `task_id` | `tasks(id)` | cascade |" in page
    assert "- `CHECK (metric_value >= 0)`" in page
    assert "| `idx_agents_state` | `(state)` | The agents that are idle, or working |" in page
    assert '    tasks ||--o{ agents : "task_id"' in page


def test_page_of_a_database_says_what_it_has(empty: Bundle, invoke: Invoke) -> None:
    older.make(empty.path, 2)
    empty.sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, -- its number\n text TEXT)")
    before = empty.path.read_bytes()
    result = invoke("docs", "--database", "abathur.db")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("# abathur.db\n")
    assert "## notes\n" in result.stdout
    assert "## memory\\_entries\n" in result.stdout
    assert "**missing**" in result.stdout
    assert empty.path.read_bytes() == before
    assert invoke("docs", "-d", "abathur.db", "-o", "old.md").stdout.startswith("written: ")
    assert empty.path.with_name("old.md").read_text("utf-8") == result.stdout


def test_page_of_the_database_of_another_application(empty: Bundle, invoke: Invoke) -> None:
    empty.sql("CREATE TABLE birds (name TEXT PRIMARY KEY, seen REFERENCES places(id))")
    page = invoke("docs", "--database", "abathur.db").stdout
    assert "## birds" in page
    assert "tasks" not in page


@pytest.mark.parametrize("kind", hostile_files.MADE)
def test_hostile_file_is_described_or_refused(kind: str, empty: Bundle, invoke: Invoke) -> None:
    hostile_files.MADE[kind](empty.path)
    result = invoke("docs", "--database", "abathur.db")
    assert result.returncode in (0, 2)
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stdout


def test_names_that_are_markdown_are_text(empty: Bundle, invoke: Invoke) -> None:
    with closing(sqlite3.connect(empty.path)) as connection:
        connection.execute('CREATE TABLE "a|b`c\n# d <script>" ("x|`` y" TEXT)')
    page = invoke("docs", "--database", "abathur.db").stdout
    assert "## a\\|b\\`c \\# d \\<script\\>\n" in page
    assert "| ``` x\\|`` y ``` | TEXT |" in page
    (entity,) = [line for line in page.splitlines() if line.endswith("{")]
    assert entity == "    a_b_c_d_script_ {"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--database", "gone.db"), "there is no database"),
        (("--output", "gone/schema.md"), "cannot be written"),
        (("--schema", "gone"), "is not a schema"),
    ],
)
def test_wrong_input(arguments: tuple[str, ...], says: str, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("docs", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []
