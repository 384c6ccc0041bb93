"""Schema text that is hard to repeat: control characters, open comments, broken UTF-8."""

import shlex
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.another_form import sql_of
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, in_shell, invoke_command, no_trace
from tests.support.everything import everything
from tests.support.kept import differences
from tests.support.machine import need
from tests.support.upgrading import planned_as_run, start

COMMAND_LINE = "env -u LD_LIBRARY_PATH sqlite3"
"""With the library of the system, which it needs."""

TASK = (
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at)"
    " VALUES ('t1', 'p', 'ready', '{}', '2024-03-01');"
)

CONTROL = {
    "a tab in a DEFAULT": "ALTER TABLE tasks ADD COLUMN sep TEXT DEFAULT 'a\tb\x01\x7f'",
    "a tab in a trigger": (
        "CREATE TABLE l (x); CREATE TRIGGER app AFTER UPDATE ON tasks BEGIN\n"
        "\tINSERT INTO l VALUES (1);\nEND"
    ),
    "an open comment at the end": "CREATE INDEX own ON tasks(priority) /* open",
    "a line comment at the end": "CREATE INDEX own ON tasks(priority) -- last",
    "a slash on a line of its own": "CREATE INDEX own ON tasks(priority --\n / --\n2) -- last",
    "a slash in a CHECK": "ALTER TABLE tasks ADD COLUMN n INTEGER CHECK (n\n/\n2 < 9 OR n = '\n/')",
    "a column called go": "ALTER TABLE tasks ADD COLUMN go; CREATE INDEX own ON tasks(\n\tGo\n)",
    "strings in double quotes": 'CREATE INDEX own ON tasks(priority) WHERE status = "ready"',
}


@pytest.mark.parametrize("sql", CONTROL.values(), ids=CONTROL)
def test_plan_is_sql_to_the_last_byte(sql: str, empty: Bundle, invoke: Invoke) -> None:
    start(empty, 2, TASK)
    with closing(sqlite3.connect(empty.path, isolation_level=None)) as connection:
        if sql.startswith("CREATE INDEX"):
            connection.execute(sql)  # with the comment left open
        else:
            connection.executescript(sql)
    planned_as_run(empty, invoke)


CR_LF = (
    "ALTER TABLE tasks ADD COLUMN sep TEXT DEFAULT 'a\r\nb' CHECK (sep <> '\r\n');"
    "ALTER TABLE tasks ADD COLUMN size AS (length(replace(sep, '\r\n', '')));"
    "CREATE TABLE l (x); CREATE INDEX own ON tasks(\r\n\tprompt) WHERE prompt <> '\r\r\n';"
    "CREATE TRIGGER app AFTER UPDATE ON tasks\r\nBEGIN INSERT INTO l VALUES ('\r\n'); END"
)


@pytest.mark.parametrize("generation", [2, 3])
def test_lines_may_end_in_cr_lf(generation: int, empty: Bundle, tmp_path: Path) -> None:
    """The command line drops a CR at the end of a line; a pipe keeps each byte on the way there."""
    need("sqlite3")
    start(empty, generation, CR_LF)
    copy = tmp_path / "by-hand.db"
    copy.write_bytes(empty.path.read_bytes())
    plan = shlex.join(invoke_command("plan", "-d", str(copy)))
    ran = in_shell(f"set -o pipefail; {plan} | {COMMAND_LINE} {copy} || [ $? = 1 ]", tmp_path)
    assert (ran.returncode, ran.stderr.count("Error")) == (0, 0)
    texts = "SELECT sql FROM sqlite_schema WHERE instr(sql, char(13)) ORDER BY name"
    before = empty.rows(texts)
    assert empty.run("init") == 0
    assert differences(everything(copy), everything(empty.path)) == []
    after = empty.rows(texts)
    assert len(after) == len(before) == 3
    assert after[:2] == before[:2]


def test_statements_of_a_kept_state_may_have_cr_lf(empty: Bundle, tmp_path: Path) -> None:
    need("sqlite3")
    start(empty, 2, CR_LF)
    old = tmp_path / "old.db"
    old.write_bytes(empty.path.read_bytes())
    assert empty.run("init") == 0
    (kept,) = empty.reports.glob("*-before/statements.sql")
    ran = in_shell(
        f"(echo .dbconfig defensive off; cat {kept}) | {COMMAND_LINE} -bail {old}", tmp_path
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert differences(everything(old), everything(empty.path)) == []


def latin(sql: str) -> Callable[[sqlite3.Connection], None]:
    """Put `sql` into the schema with each é as a single byte, as in Latin-1."""

    def make(connection: sqlite3.Connection) -> None:
        connection.execute(sql)
        connection.execute("PRAGMA writable_schema = ON")
        for kind, name, text in connection.execute(
            "SELECT type, name, sql FROM sqlite_schema WHERE sql LIKE '%é%'"
        ).fetchall():
            connection.execute(
                "UPDATE sqlite_schema SET sql = CAST(? AS TEXT) WHERE (type, name) = (?, ?)",
                (text.encode("latin-1"), kind, name),
            )
        connection.execute("PRAGMA writable_schema = RESET")

    return make


NO_UTF8 = {
    "a view": "CREATE VIEW v AS SELECT id /* café */ FROM tasks",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON tasks BEGIN SELECT 'café'; END",
    "an index": "CREATE INDEX own ON tasks(priority) /* café */",
    "a column": "ALTER TABLE tasks ADD COLUMN own TEXT /* café */",
    "another table": "CREATE TABLE mine (a TEXT DEFAULT 'café')",
}


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("case", NO_UTF8)
def test_schema_text_that_is_no_utf8_is_kept(
    case: str, generation: int, empty: Bundle, invoke: Invoke
) -> None:
    start(empty, generation)
    with closing(sqlite3.connect(empty.path, isolation_level=None)) as connection:
        latin(NO_UTF8[case])(connection)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    texts = "SELECT hex(sql) FROM sqlite_schema WHERE instr(CAST(sql AS BLOB), x'636166E9')"
    before = empty.rows(texts)
    assert len(before) == 1
    planned_as_run(empty, invoke)
    assert invoke("verify").returncode == 0
    assert len(empty.rows(texts)) == 1
    if case != "a column":
        assert empty.rows(texts) == before


def test_values_that_are_no_utf8_are_told(empty: Bundle, invoke: Invoke) -> None:
    start(empty, 3)
    with closing(sqlite3.connect(empty.path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO state VALUES (1, CAST(x'ff61' AS TEXT), 'k', '1', 't', 't')"
        )
    assert empty.run("init") == 1
    assert set(empty.failed()) == {"foreign_key_check"}
    assert empty.failed()["foreign_key_check"] == [
        "table state, row 1, column task_id, parent tasks"
    ]


def test_names_of_letters_beyond_those_of_python(empty: Bundle, invoke: Invoke) -> None:
    """To SQLite every character beyond ASCII is a letter, even white space."""
    start(empty, 2, TASK)
    empty.sql("ALTER TABLE tasks ADD COLUMN “x”\u00a0€ TEXT CHECK (“x”\u00a0€ <> 'no')")
    planned_as_run(empty, invoke)
    assert "CHECK (“x”\u00a0€ <> 'no')" in sql_of(empty, "tasks")


def latin_names(path: Path, *statements: str) -> None:
    """Run statements with each é as a single byte, names included, as an application in Latin-1."""
    script = ";\n".join(statements).encode("latin-1")
    need("sqlite3")
    subprocess.run(["sqlite3", str(path)], input=script, check=True, env={})


def test_table_with_a_name_that_is_no_utf8_is_told(
    bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    latin_names(bundle.path, "CREATE TABLE café (a)", "INSERT INTO café VALUES (1)")
    for task, code in {"init": 3, "core": 3, "verify": 1, "plan": 2, "status": 2}.items():
        result = invoke(task)
        no_trace(result)
        said = result.stdout + result.stderr
        assert (result.returncode, "table caf\\xe9 is not UTF-8" in said) == (code, True), said
        assert "nothing is lost or damaged" in said
    result = invoke("backup", "kept")
    assert result.returncode == 1
    (state,) = (tmp_path / "kept").iterdir()
    result = invoke("restore", str(state))
    assert (result.returncode, "damaged (" in result.stderr) == (3, False)


def test_column_with_a_name_that_is_no_utf8_is_forgotten(bundle: Bundle, invoke: Invoke) -> None:
    latin_names(bundle.path, "ALTER TABLE tasks ADD COLUMN café TEXT")
    result = invoke("forget", "all")
    assert result.returncode == 0, result.stderr
