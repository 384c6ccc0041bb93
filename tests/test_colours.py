"""On a terminal: colours, differences side by side, lines that wrap; less, and more, on demand."""

import re
from pathlib import Path

import pytest

from tests.support.bundle import Bundle
from tests.support.commands import Invoke
from tests.support.terminal import read_all, start_on_terminal

COLOUR = re.compile(r"\x1b\[\d+m")
DRIFT = (
    "DROP INDEX idx_agents_state; DROP INDEX idx_tasks_parent;"
    "CREATE INDEX idx_tasks_parent ON tasks(status)"
)


def on_terminal(folder: Path, task: str, kind: str = "xterm") -> str:
    process, terminal = start_on_terminal(folder, task, kind=kind)
    shown = read_all(terminal)
    process.wait()
    return shown.replace("\r\n", "\n")


def test_colours_where_there_is_a_terminal(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m94 checks passed" in on_terminal(tmp_path, "verify")
    bundle.sql("DROP INDEX idx_agents_state")
    assert "\x1b[31mFAILED: 2 of 94 checks" in on_terminal(tmp_path, "verify")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(on_terminal(tmp_path, "verify"))
    monkeypatch.delenv("NO_COLOR")
    assert not COLOUR.search(on_terminal(tmp_path, "verify", "dumb"))


def test_colours_elsewhere_only_on_demand(bundle: Bundle, invoke: Invoke) -> None:
    plain = invoke("verify").stdout
    assert not COLOUR.search(plain)
    forced = invoke("verify", CLICOLOR_FORCE="1").stdout
    assert COLOUR.search(forced)
    assert COLOUR.sub("", forced).split()[:4] == plain.split()[:4]
    assert not COLOUR.search(invoke("verify", CLICOLOR_FORCE="1", NO_COLOR="1").stdout)
    assert not COLOUR.search(invoke("verify", "--json", CLICOLOR_FORCE="1").stdout)


def test_what_differs_stands_beside_what_is_declared(bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql(DRIFT)
    shown = COLOUR.sub("", on_terminal(tmp_path, "verify"))
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    place = lines.index("index idx_tasks_parent")
    assert lines[place + 1 : place + 3] in (
        ["- tasks(status) + tasks(parent_task_id)", "index idx_agents_state"],
        ["- tasks(status)", "+ tasks(parent_task_id)"],
    )
    assert "- (missing) + agents(state)" in lines


def test_long_lines_wrap_at_the_width_of_the_terminal(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    bundle.sql(f"CREATE VIEW broken AS SELECT {', '.join(f'c{n}' for n in range(60))} FROM tasks")
    shown = COLOUR.sub("", on_terminal(tmp_path, "verify"))
    findings = [line for line in shown.splitlines() if line.startswith("    ")]
    assert findings
    assert max(map(len, findings)) <= 60


def test_names_cannot_colour_the_terminal(bundle: Bundle, tmp_path: Path) -> None:
    bundle.sql('CREATE VIEW "\x1b[31mred" AS SELECT 1')
    shown = on_terminal(tmp_path, "verify")
    assert "\\x1b[31mred" in shown


def test_quiet_prints_only_what_is_wrong(empty: Bundle, invoke: Invoke) -> None:
    made = invoke("init", "--quiet")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert invoke("verify", "--quiet").stdout == ""
    empty.sql("DROP INDEX idx_agents_state; CREATE VIEW busy AS SELECT 1")
    told = invoke("verify", "-q")
    assert told.returncode == 1
    assert "index idx_agents_state is missing" in told.stdout
    assert "not managed here" not in told.stdout
    empty.sql("DROP TABLE audit; CREATE VIEW audit AS SELECT 1")
    assert "core failed: " in invoke("init", "-q").stderr


def test_verbose_prints_statements_before_they_run(empty: Bundle, invoke: Invoke) -> None:
    result = invoke("core", "--verbose")
    assert result.returncode == 2
    assert invoke("pragma").returncode == 0
    shown = invoke("core", "--verbose").stdout
    lines = shown.splitlines()
    assert "  CREATE TABLE tasks (" in lines
    assert lines.index("  CREATE TABLE tasks (") < lines.index("  CREATE TABLE agents (")
    assert lines[-2].startswith("core            8 tables made")
    ran = [one["sql"] for one in empty.report()["steps"][0]["statements"]]
    assert [line.strip() for sql in ran for line in sql.splitlines()] == [
        line.strip() for line in lines[:-2] if not line.startswith("  -- table")
    ]
