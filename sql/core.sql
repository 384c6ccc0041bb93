-- The work of the swarm: tables that older applications may already have made and filled.
-- They reference sessions and memory_entries, which memory.sql declares.


-- A unit of work that an agent takes on, and what came of it.
CREATE TABLE tasks (
    id                            TEXT PRIMARY KEY,                 -- UUID
    prompt                        TEXT NOT NULL,                    -- what to do, in words
    agent_type                    TEXT NOT NULL DEFAULT 'general',  -- which kind of agent may do it
    priority                      INTEGER NOT NULL DEFAULT 5,       -- 0 to 10, larger: more urgent
    status                        TEXT NOT NULL,                    -- ready, running, completed ...
    input_data                    TEXT NOT NULL,                    -- JSON object: name -> value
    result_data                   TEXT,                             -- JSON, NULL until it is done
    error_message                 TEXT,
    retry_count                   INTEGER DEFAULT 0,
    max_retries                   INTEGER DEFAULT 3,
    max_execution_timeout_seconds INTEGER DEFAULT 3600,             -- seconds
    submitted_at                  TIMESTAMP NOT NULL,               -- ISO 8601, UTC, as all times
    started_at                    TIMESTAMP,                        -- NULL until an agent has it
    completed_at                  TIMESTAMP,
    last_updated_at               TIMESTAMP NOT NULL,               -- too long ago: it hangs
    created_by                    TEXT,
    parent_task_id                TEXT REFERENCES tasks(id),
    dependencies                  TEXT,                             -- JSON array of task ids
    session_id                    TEXT REFERENCES sessions(id) ON DELETE SET NULL
);


-- A worker that was started for one task.
CREATE TABLE agents (
    id             TEXT PRIMARY KEY,                   -- UUID
    name           TEXT NOT NULL,
    specialization TEXT NOT NULL,
    task_id        TEXT NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
    state          TEXT NOT NULL,                      -- idle, working ...
    model          TEXT NOT NULL,                      -- the language model that it runs on
    spawned_at     TIMESTAMP NOT NULL,
    terminated_at  TIMESTAMP,                          -- NULL while it lives
    resource_usage TEXT,                               -- JSON object: what -> how much
    session_id     TEXT REFERENCES sessions(id) ON DELETE SET NULL
);


-- Values that a task keeps by key. For older applications; newer ones use sessions.state.
CREATE TABLE state (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id    TEXT NOT NULL REFERENCES tasks(id),
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,        -- JSON, of any shape
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (task_id, key)
);


-- Who did what, and when: rows are only ever added. The trail outlives its task, so task_id is no
-- foreign key, and it is NULL where a memory was changed outside of a task.
CREATE TABLE audit (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp             TIMESTAMP NOT NULL,
    agent_id              TEXT REFERENCES agents(id),
    task_id               TEXT,
    action_type           TEXT NOT NULL,
    action_data           TEXT,      -- JSON object: name -> value
    result                TEXT,
    memory_operation_type TEXT,      -- create, update, delete, consolidate, publish; else NULL
    memory_namespace      TEXT,      -- such as user:alice:preferences
    memory_entry_id       INTEGER REFERENCES memory_entries(id) ON DELETE SET NULL
);


-- Measurements over time.
CREATE TABLE metrics (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp    TIMESTAMP NOT NULL,
    metric_name  TEXT NOT NULL,
    metric_value REAL NOT NULL CHECK (metric_value >= 0),   -- in the unit that the name says
    labels       TEXT                                       -- JSON object: name -> value
);


-- What a task that runs in a loop can go on from.
CREATE TABLE checkpoints (
    task_id    TEXT NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
    iteration  INTEGER NOT NULL,     -- counted up by the loop
    state      TEXT NOT NULL,        -- JSON, of any shape
    created_at TIMESTAMP NOT NULL,
    session_id TEXT REFERENCES sessions(id) ON DELETE SET NULL,
    PRIMARY KEY (task_id, iteration)
);
