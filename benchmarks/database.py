"""A database of any size, as a swarm leaves it after some months; the same rows every time."""

from contextlib import closing
from pathlib import Path

from abathur_schema.declared.declaration import SCHEMA_STEPS, declared
from abathur_schema.storage.connection import connect

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"

# Ids are spread over their range as if random: multiplying by an odd number permutes them.
ID = "printf('%08x%08x', ({0} * 2654435761) & 0xffffffff, ({0} * 40503 + 7) & 0xffffffff)"
TIME = "strftime('%Y-%m-%dT%H:%M:%SZ', 1767225600 + {0}, 'unixepoch')"
NAMESPACE = "printf('user:%d:%s', {0} % 5000, CASE {0} % 3 WHEN 0 THEN 'facts' ELSE 'notes' END)"


def _id(number: str) -> str:
    return ID.format(number)


def _time(number: str) -> str:
    return TIME.format(number)


def _namespace(number: str) -> str:
    return NAMESPACE.format(number)


ROWS = {
    "sessions": (
        20_000,
        f"""INSERT INTO sessions (id, app_name, user_id, project_id, status, events, created_at)
            SELECT {_id("i")}, 'app' || i % 5, 'user' || i % 5000,
                   iif(i % 2, 'project' || i % 100, NULL),
                   CASE i % 4 WHEN 0 THEN 'active' WHEN 1 THEN 'paused' ELSE 'archived' END,
                   (SELECT json_group_array(json_object('at', value, 'said', hex(zeroblob(40))))
                      FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8]')),
                   {_time("i * 60")} FROM n""",
    ),
    "memory_entries": (
        1_000_000,
        f"""INSERT INTO memory_entries (namespace, key, value, memory_type, is_deleted, created_by,
                   created_at, updated_at)
            SELECT {_namespace("i")}, 'key' || i, json_object('fact', i, 'seen', i % 17),
                   CASE i % 3 WHEN 0 THEN 'semantic' WHEN 1 THEN 'episodic' ELSE 'procedural' END,
                   i % 10 = 0, 'agent' || i % 1000, {_time("i")}, {_time("i")} FROM n""",
    ),
    "tasks": (
        1_000_000,
        f"""INSERT INTO tasks (id, prompt, status, priority, input_data, submitted_at,
                   last_updated_at, parent_task_id, session_id)
            SELECT {_id("i")}, 'Look into case ' || i || ' and tell what is new in it',
                   CASE i % 50 WHEN 0 THEN 'running' WHEN 1 THEN 'ready' ELSE 'completed' END,
                   i % 11, json_object('case', i), {_time("i")}, {_time("i + 300")},
                   iif(i % 4 = 3, {_id("(i - 1)")}, NULL),
                   iif(i % 2, {_id("(i % :sessions)")}, NULL)
              FROM n""",
    ),
    "agents": (
        100_000,
        f"""INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)
            SELECT {_id("i")}, 'agent' || i, 'general', {_id("i")},
                   iif(i % 10, 'terminated', 'idle'), 'model', {_time("i * 10")} FROM n""",
    ),
    "audit": (
        2_000_000,
        f"""INSERT INTO audit (timestamp, agent_id, task_id, action_type, action_data,
                   memory_operation_type, memory_namespace, memory_entry_id)
            SELECT {_time("i / 2")}, {_id("(i % :agents)")}, {_id("(i * 7919 % :tasks)")},
                   'tool_call', json_object('tool', i % 30), iif(i % 4, NULL, 'create'),
                   iif(i % 4, NULL, {_namespace("i / 4")}),
                   iif(i % 4, NULL, 1 + i % :memory_entries)
              FROM n""",
    ),
    "document_index": (
        20_000,
        f"""INSERT INTO document_index (file_path, title, document_type, content_hash,
                   embedding_model, embedding_blob, sync_status, created_at)
            SELECT 'docs/' || i || '.md', 'Document ' || i, 'design', hex(randomblob(32)), 'model',
                   randomblob(768 * 4), iif(i % 100, 'synced', 'stale'), {_time("i")} FROM n""",
    ),
}
"""By table, parents first: the number of rows at full size, and the statement that inserts them."""


def make(database: Path, scale: float = 1.0) -> None:
    """Create `database`, about 1 GB at `scale` 1; the file must not exist.

    The result is what `invoke init` creates, in WAL mode. Indexes are built last, which is faster.
    """
    wanted = declared()
    counts = {table: max(8, int(rows * scale)) for table, (rows, _) in ROWS.items()}
    database.touch(exist_ok=False)
    with closing(connect(database, "rw", declared().settings)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA foreign_keys = OFF")
        for step in SCHEMA_STEPS:
            for name in wanted.steps[step]:
                if name in wanted.schema.tables:
                    connection.execute(wanted.creates[name])
        for table, (_, insert) in ROWS.items():
            connection.execute(f"{NUMBERS} {insert}", {**counts, "count": counts[table]})
        for step in SCHEMA_STEPS:
            for name in wanted.steps[step]:
                if name in wanted.schema.indexes:
                    connection.execute(wanted.creates[name])
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
