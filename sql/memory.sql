-- What the swarm remembers: conversations, long-term memories, documents.


-- A conversation thread between a user and an application.
CREATE TABLE sessions (
    id               TEXT PRIMARY KEY,                                -- UUID
    app_name         TEXT NOT NULL,
    user_id          TEXT NOT NULL,
    project_id       TEXT,
    status           TEXT NOT NULL DEFAULT 'created'
                     CHECK (status IN ('created', 'active', 'paused', 'terminated', 'archived')),
    events           TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(events)),   -- array, oldest first
    state            TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(state)),    -- object
    metadata         TEXT DEFAULT '{}' CHECK (json_valid(metadata)),          -- object
    created_at       TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    terminated_at    TIMESTAMP,
    archived_at      TIMESTAMP
);


-- Long-term memory. A change is a new row with the next version; to forget one marks them all.
CREATE TABLE memory_entries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace   TEXT NOT NULL,                       -- a path such as user:alice:preferences
    key         TEXT NOT NULL,
    value       TEXT NOT NULL CHECK (json_valid(value)),
    memory_type TEXT NOT NULL CHECK (memory_type IN ('semantic', 'episodic', 'procedural')),
    version     INTEGER NOT NULL DEFAULT 1 CHECK (version > 0),
    is_deleted  BOOLEAN NOT NULL DEFAULT 0,          -- 1: forgotten (every version of it)
    metadata    TEXT DEFAULT '{}' CHECK (json_valid(metadata)),               -- object
    created_by  TEXT,                                -- a session or an agent
    updated_by  TEXT,
    created_at  TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at  TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (namespace, key, version)
);


-- Markdown files, and the embeddings by which they are found.
CREATE TABLE document_index (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    file_path       TEXT NOT NULL UNIQUE,
    title           TEXT NOT NULL,
    document_type   TEXT,                            -- design, specification, plan, report
    content_hash    TEXT NOT NULL,                   -- SHA-256 of the file, hexadecimal
    chunk_count     INTEGER DEFAULT 1,
    embedding_model TEXT,
    embedding_blob  BLOB,                            -- float32, packed: 4 bytes a dimension
    metadata        TEXT DEFAULT '{}' CHECK (json_valid(metadata)),           -- object
    last_synced_at  TIMESTAMP,
    sync_status     TEXT DEFAULT 'pending'
                    CHECK (sync_status IN ('pending', 'synced', 'failed', 'stale')),
    created_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
