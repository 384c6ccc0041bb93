"""An index is dropped only where the declared schema already has the same one."""

import pytest

from tests.support.bundle import Bundle

INDEXES = {
    "CREATE INDEX mine ON state(task_id, key)": "UNIQUE (task_id, key)",
    # A unique index is a constraint, and its application would create it again.
    "CREATE UNIQUE INDEX mine ON state(task_id, key)": "",
    "CREATE INDEX mine ON state(task_id, key DESC)": "UNIQUE (task_id, key)",
    "CREATE INDEX mine ON state(id)": "PRIMARY KEY (id)",
    "CREATE INDEX mine ON checkpoints(task_id, iteration DESC)": "PRIMARY KEY (task_id, iteration)",
    "CREATE INDEX mine ON agents(state)": "index idx_agents_state",
    "CREATE INDEX mine ON audit(task_id, timestamp DESC)": "index idx_audit_task",
    # The memory tables have no older form.
    "CREATE INDEX mine ON memory_entries(namespace, key, version)": "",
    "CREATE INDEX mine ON tasks(status, last_updated_at) where STATUS='running'": (
        "index idx_tasks_running_timeout"
    ),
    # All others belong to the application, and stay.
    "CREATE INDEX mine ON state(task_id)": "",
    "CREATE INDEX mine ON state(key, task_id)": "",
    "CREATE INDEX mine ON state(task_id, key, value)": "",
    "CREATE INDEX mine ON state(task_id, key) WHERE key > 'a'": "",
    "CREATE INDEX mine ON state(task_id, key COLLATE NOCASE)": "",
    "CREATE INDEX mine ON state(task_id, lower(key))": "",
    "CREATE INDEX mine ON audit(task_id, timestamp)": "",
    "CREATE UNIQUE INDEX mine ON agents(state)": "",
    "CREATE UNIQUE INDEX mine ON state(id, key)": "",
    "CREATE INDEX mine ON tasks(status, last_updated_at)": "",
    "CREATE INDEX mine ON state(task_id, key);"
    " CREATE VIEW v AS SELECT * FROM state INDEXED BY mine WHERE task_id = 1": "",
    "CREATE TABLE t (a UNIQUE); CREATE INDEX mine ON t(a)": "",
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
    assert report["deliverables"]["indexes_dropped"] == (["mine"] if by else [])
    reasons = [one["reason"] for step in report["steps"] for one in step["statements"]]
    assert [one for one in reasons if "repeats" in one] == (
        [f"index mine repeats {by}"] if by else []
    )
    if by:  # the application creates it again when it starts: now it stays
        bundle.sql(create)
        bundle.run("init")
        assert {step["status"] for step in bundle.report()["steps"]} == {"unchanged"}
