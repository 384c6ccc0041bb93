"""An index is dropped only if an older application made it, and a key of the table is the same."""

import pytest

from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import Invoke

INDEXES = {
    "CREATE INDEX idx_state_task_key ON state(task_id, key)": "UNIQUE (task_id, key)",
    # A unique index is a constraint, and its application would create it again.
    "CREATE UNIQUE INDEX idx_state_task_key ON state(task_id, key)": "",
    "CREATE INDEX idx_state_task_key ON state(task_id, key DESC)": "UNIQUE (task_id, key)",
    "CREATE INDEX idx_state_task_key ON state(id)": "PRIMARY KEY (id)",
    "CREATE INDEX idx_state_task_key ON checkpoints(task_id, iteration DESC)": (
        "PRIMARY KEY (task_id, iteration)"
    ),
    "CREATE INDEX idx_state_task_key ON agents(state)": "index idx_agents_state",
    "CREATE INDEX idx_state_task_key ON audit(task_id, timestamp DESC)": "index idx_audit_task",
    # The memory tables have no older form.
    "CREATE INDEX idx_state_task_key ON memory_entries(namespace, key, version)": "",
    "CREATE INDEX idx_state_task_key ON tasks(status, last_updated_at) where STATUS='running'": (
        "index idx_tasks_running_timeout"
    ),
    # All others belong to the application, and stay.
    "CREATE INDEX idx_state_task_key ON state(task_id)": "",
    "CREATE INDEX idx_state_task_key ON state(key, task_id)": "",
    "CREATE INDEX idx_state_task_key ON state(task_id, key, value)": "",
    "CREATE INDEX idx_state_task_key ON state(task_id, key) WHERE key > 'a'": "",
    "CREATE INDEX idx_state_task_key ON state(task_id, key COLLATE NOCASE)": "",
    "CREATE INDEX idx_state_task_key ON state(task_id, lower(key))": "",
    "CREATE INDEX idx_state_task_key ON audit(task_id, timestamp)": "",
    "CREATE UNIQUE INDEX idx_state_task_key ON agents(state)": "",
    "CREATE UNIQUE INDEX idx_state_task_key ON state(id, key)": "",
    "CREATE INDEX idx_state_task_key ON tasks(status, last_updated_at)": "",
    "CREATE INDEX idx_state_task_key ON state(task_id, key);"
    " CREATE VIEW v AS SELECT * FROM state INDEXED BY idx_state_task_key WHERE task_id = 1": "",
    "CREATE TABLE t (a UNIQUE); CREATE INDEX idx_state_task_key ON t(a)": "",
}


@pytest.mark.parametrize("create", INDEXES)
def test_index_is_dropped_only_where_it_repeats_column_for_column(
    create: str, bundle: Bundle
) -> None:
    by = INDEXES[create]
    bundle.sql(
        "DROP INDEX idx_tasks_session; DROP INDEX idx_agents_session;"  # as if they were older
        f"DROP INDEX idx_checkpoints_session; {create}"
    )
    bundle.run("init")
    report = bundle.report()
    assert report["deliverables"]["indexes_dropped"] == (["idx_state_task_key"] if by else [])
    reasons = [one["reason"] for step in report["steps"] for one in step["statements"]]
    assert [one for one in reasons if "repeats" in one] == (
        [f"index idx_state_task_key repeats {by}"] if by else []
    )
    if by:  # the application creates it again when it starts: now it stays
        bundle.sql(create)
        bundle.run("init")
        assert {step["status"] for step in bundle.report()["steps"]} == {"unchanged"}


@pytest.mark.parametrize("create", [create for create, by in INDEXES.items() if by])
def test_index_of_a_name_of_its_own_stays(create: str, empty: Bundle) -> None:
    """A statement may name it: INDEXED BY."""
    older.make(empty.path, 3)
    empty.sql(create.replace("idx_state_task_key", "mine"))
    assert empty.run("init") == 0
    assert empty.rows("SELECT name FROM sqlite_schema WHERE name = 'mine'") == [("mine",)]
    dropped = empty.report()["deliverables"]["indexes_dropped"]
    assert dropped == ["idx_checkpoints_task", "idx_state_task_key"]


def test_index_of_ours_that_is_a_constraint_stops_the_step(bundle: Bundle, invoke: Invoke) -> None:
    index = "UNIQUE INDEX idx_document_content_hash ON document_index(content_hash)"
    bundle.sql(f"DROP INDEX idx_document_content_hash; CREATE {index}")
    for task, code in (("plan", 1), ("init", 3)):
        result = invoke(task)
        assert result.returncode == code
        assert "index idx_document_content_hash is on UNIQUE document_index" in result.stderr
        told = "a constraint of its application: recreate it under another name"
        assert told in result.stderr
    bundle.sql(
        "INSERT INTO document_index (file_path, title, content_hash) VALUES ('a', 't', 'h')"
        " ON CONFLICT (content_hash) DO UPDATE SET file_path = 'b';"
        f"DROP INDEX idx_document_content_hash; CREATE {index.replace('INDEX idx', 'INDEX its')}"
    )
    assert bundle.run("init") == 0
    assert bundle.run("verify") == 0
