"""Generation 4 and `init` migrate the same databases, in either order, and agree."""

import shutil
from pathlib import Path

import pytest

from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, command_line
from tests.support.everything import everything
from tests.support.fingerprints import columns, old_digests
from tests.support.generation_4 import running
from tests.support.generation_4_tables import REMADE, SCHEMA, definitions
from tests.support.kept import differences


def older_form(sql: str) -> str:
    """The form of an older contract, which our own older versions made."""
    column, agent = "    task_id TEXT,\n    action_type", "REFERENCES agents(id),\n"
    cascade = "REFERENCES tasks(id) ON DELETE CASCADE,\n    FOREIGN KEY (session_id)"
    for old, new in (
        (column, column.replace("TEXT", "TEXT NOT NULL", 1)),
        (agent, f"{agent}    FOREIGN KEY (task_id) REFERENCES tasks(id),\n"),
        (cascade, cascade.replace(" ON DELETE CASCADE", "")),
    ):
        assert old in sql
        sql = sql.replace(old, new)
    return sql


def make_older_form(bundle: Bundle) -> None:
    with running(bundle.path) as application:
        application.connection.executescript(older_form(SCHEMA))
        for number in range(20):
            task = application.add_task(after=application.add_task())
            application.add("agents", id=f"{number}", task_id=task)
            application.add("checkpoints", task_id=task, iteration=number)
            application.add("audit", task_id=task, agent_id=f"{number}", result="odd\0")


def test_what_an_older_contract_made_is_brought_to_this_one(
    empty: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    make_older_form(empty)
    there, copy = columns(empty.path), tmp_path / "copy.db"
    values = old_digests(empty.path, there)
    shutil.copy(empty.path, copy)
    assert command_line(copy, invoke("plan").stdout).returncode == 0
    assert empty.run("init") == 0
    made = empty.report()["deliverables"]
    assert made["tables_rebuilt"] == made["columns_added"] == []
    assert made["tables_changed"] == ["agents", "audit", "checkpoints"]
    assert made["indexes_dropped"] == REMADE
    assert old_digests(empty.path, there) == values
    assert differences(everything(copy), everything(empty.path)) == []
    with running(empty.path) as application:
        assert application.start() == []
        application.work()
    assert empty.unchanged_by_init()


def test_without_init_it_migrates_that_itself_and_init_agrees(empty: Bundle) -> None:
    make_older_form(empty)
    with running(empty.path) as application:
        assert application.start() == ["agents", "checkpoints", "audit"]
    assert empty.run("init") == 0
    made = empty.report()["deliverables"]
    assert made["tables_rebuilt"] == made["tables_changed"] == made["columns_added"] == []
    with running(empty.path) as application:
        assert application.start() == []
        application.work()
    assert empty.unchanged_by_init()


@pytest.mark.parametrize("init_first", [True, False], ids=["after init", "before init"])
def test_it_takes_over_a_database_of_generation_3(init_first: bool, empty: Bundle) -> None:
    older.make(empty.path, 3)
    there = columns(empty.path)
    values = old_digests(empty.path, there)
    if init_first:
        assert empty.run("init") == 0
    with running(empty.path) as application:
        migrated = application.start()
        own = [f"tasks.{name}" for name in definitions(application.connection, "tasks")][-10:]
    if init_first:  # it adds its own columns, and no more
        assert migrated == own
        assert old_digests(empty.path, there) == values
    else:
        assert set(migrated) > {*own, "agents", "checkpoints", "audit"}
        values = old_digests(empty.path, there)  # its rebuild assigns new rowids
        assert empty.run("init") == 0
        made = empty.report()["deliverables"]
        assert made["tables_rebuilt"] == made["tables_changed"] == made["columns_added"] == []
        assert made["indexes_dropped"] == REMADE
        assert old_digests(empty.path, there) == values
    for _ in range(2):
        assert empty.unchanged_by_init()
        with running(empty.path) as application:
            assert application.start() == []
            application.work()
    assert empty.run("verify") == 0
