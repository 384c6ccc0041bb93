"""Triggers whose text names the database as its application attached it: `ON swarm.tasks`."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, command_line
from tests.support.upgrading import planned_as_run, start

TEXT = """\
CREATE TRIGGER {} AFTER {} ON {} . tasks BEGIN
    INSERT INTO swarm_log VALUES (new.id, '{}');
END"""
TRIGGERS = {
    name: TEXT.format(name, *rest, name)
    for name, *rest in (
        ("began", "INSERT", '"swarm"'),
        ("changed", "UPDATE OF id, status", "[swarm]"),
        ("asked", "UPDATE OF {}", "swarm"),
    )
}


@contextmanager
def attached(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as its application opens it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS swarm", (str(path),))
        yield connection


def begin(path: Path, task: str) -> list[tuple[str, str]]:
    """The application begins a task and changes its status; what its triggers wrote."""
    with attached(path) as connection:
        (old,) = connection.execute("SELECT min(id) FROM tasks").fetchone()
        columns = [name for _, name, *_ in connection.execute("PRAGMA swarm.table_info(tasks)")]
        others = ", ".join(name for name in columns if name != "id")
        connection.execute(
            f"INSERT INTO swarm.tasks (id, {others}) SELECT ?, {others} FROM tasks WHERE id = ?",
            (task, old),
        )
        prompt = "prompt" if "prompt" in columns else "template_name"
        connection.execute(f"UPDATE swarm.tasks SET {prompt} = 'x' WHERE id = ?", (task,))
        connection.execute("UPDATE swarm.tasks SET status = 'failed' WHERE id = ?", (task,))
        return connection.execute("DELETE FROM swarm.swarm_log RETURNING id, trigger").fetchall()


@pytest.mark.parametrize("generation", older.GENERATIONS)
def test_trigger_of_an_attached_database_goes_on(
    generation: int, empty: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    older.make(empty.path, generation, tasks=3, audit=3)
    prompt = "template_name" if generation == 1 else "prompt"
    made = {name: text.replace("{}", prompt) for name, text in TRIGGERS.items()}
    with attached(empty.path) as connection:
        connection.execute("CREATE TABLE swarm.swarm_log (id, trigger)")
        for text in made.values():
            connection.execute(text.replace("TRIGGER ", "TRIGGER swarm."))
    before = begin(empty.path, "t-before")
    by_hand = tmp_path / "by-hand.db"
    shutil.copy(empty.path, by_hand)
    ran = command_line(by_hand, invoke("plan").stdout)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [invoke(task).returncode for task in ("init", "verify", "plan")] == [0, 0, 0]
    if generation == 1:  # SQLite could not rename the column in it, and its name means nothing
        made["asked"] = made["asked"].replace("swarm . ", "").replace(prompt, "prompt")
    for path in (empty.path, by_hand):
        with closing(sqlite3.connect(path)) as connection:
            query = (
                "SELECT name, sql FROM sqlite_schema WHERE name IN ('began', 'changed', 'asked')"
            )
            found = dict(connection.execute(query))
        assert found == made
        after = begin(path, "t-after")
        assert [name for _, name in after] == [name for _, name in before]
        assert {name for _, name in after} == set(TRIGGERS)


@pytest.mark.parametrize(
    "made",
    [
        "VIEW swarm.waiting AS SELECT id FROM swarm.tasks",
        "TRIGGER swarm.ended DELETE ON tasks BEGIN SELECT id FROM swarm.tasks; END",
    ],
)
def test_what_only_the_attached_database_can_read_is_not_called_corrupt(
    made: str, bundle: Bundle, invoke: Invoke
) -> None:
    with attached(bundle.path) as connection:
        connection.execute(f"CREATE {made}")
    told = invoke("verify")
    assert told.returncode == 1
    assert "SQLite can read the file only where it is attached by that name" in told.stdout
    assert "corrupt" not in told.stdout + invoke("status").stderr
    with attached(bundle.path) as connection:  # as the advice says
        connection.execute("DROP " + " ".join(made.split()[:2]))
    assert invoke("verify").returncode == 0


ELSEWHERE = {
    "another declared table": "swarm_seen AFTER INSERT ON swarm.audit BEGIN DELETE FROM swarm_log",
    "a table of its own": "swarm_seen AFTER INSERT ON swarm.swarm_log BEGIN DELETE FROM state",
    "a view": "swarm_seen INSTEAD OF UPDATE ON swarm.swarm_view BEGIN DELETE FROM swarm_log",
}


@pytest.mark.parametrize("generation", older.GENERATIONS)
@pytest.mark.parametrize("case", ELSEWHERE)
def test_trigger_of_an_attached_database_stops_no_rebuild_of_another_table(
    case: str, generation: int, empty: Bundle, invoke: Invoke
) -> None:
    start(empty, generation)
    with attached(empty.path) as connection:
        connection.execute("CREATE TABLE swarm.swarm_log (id, trigger)")
        connection.execute("CREATE VIEW swarm.swarm_view AS SELECT id, status FROM tasks")
        connection.execute(f"CREATE TRIGGER swarm.{ELSEWHERE[case]}; END")
    planned_as_run(empty, invoke)
    assert invoke("verify").returncode == 0
    texts = empty.rows("SELECT sql FROM sqlite_schema WHERE name = 'swarm_seen'")
    assert texts == [(f"CREATE TRIGGER {ELSEWHERE[case]}; END",)]
