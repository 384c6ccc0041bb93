-- Each index serves one query, described above it; the query itself is in checks/plans/.


-- sessions

-- Which sessions are live, newest first?
CREATE INDEX idx_sessions_status_updated ON sessions(status, last_update_time DESC)
    WHERE status IN ('active', 'paused');

-- What is a user's history?
CREATE INDEX idx_sessions_user_created ON sessions(user_id, created_at DESC);

-- Which sessions belong to a project?
CREATE INDEX idx_sessions_project ON sessions(project_id, created_at DESC)
    WHERE project_id IS NOT NULL;

-- Where did a user leave off in one application?
CREATE INDEX idx_sessions_app_user ON sessions(app_name, user_id, last_update_time DESC);


-- memory_entries

-- What is the current version of one memory? (The hottest query of all.)
CREATE INDEX idx_memory_namespace_key_version
    ON memory_entries(namespace, key, is_deleted, version DESC);

-- What is there below a namespace?
CREATE INDEX idx_memory_namespace_prefix ON memory_entries(namespace, updated_at DESC)
    WHERE is_deleted = 0;

-- What are the newest memories of a type?
CREATE INDEX idx_memory_type_updated ON memory_entries(memory_type, updated_at DESC)
    WHERE is_deleted = 0;

-- Which memories of a type are there below a namespace?
CREATE INDEX idx_memory_type_namespace ON memory_entries(memory_type, namespace)
    WHERE is_deleted = 0;

-- What has changed since a time?
CREATE INDEX idx_memory_updated_at ON memory_entries(updated_at DESC)
    WHERE is_deleted = 0;

-- Which episodes are old enough to forget?
CREATE INDEX idx_memory_episodic_ttl ON memory_entries(updated_at)
    WHERE memory_type = 'episodic' AND is_deleted = 0;

-- What did a session or an agent write?
CREATE INDEX idx_memory_created_by ON memory_entries(created_by, created_at DESC);


-- document_index

-- Which documents of a type are there, newest first?
CREATE INDEX idx_document_type_created ON document_index(document_type, created_at DESC)
    WHERE document_type IS NOT NULL;

-- Which documents must be embedded, oldest first?
CREATE INDEX idx_document_sync_status ON document_index(sync_status, created_at)
    WHERE sync_status IN ('pending', 'stale');

-- Where else is the same content?
CREATE INDEX idx_document_content_hash ON document_index(content_hash);

-- Which documents changed lately?
CREATE INDEX idx_document_updated ON document_index(updated_at DESC);

-- Which documents were embedded by a model that is no longer used?
CREATE INDEX idx_document_embedding_model ON document_index(embedding_model, last_synced_at)
    WHERE embedding_model IS NOT NULL;


-- audit: what ties it to memory. It is a core table, but nobody asks this before memory is there.

-- What was done in a namespace, newest first?
CREATE INDEX idx_audit_memory_namespace ON audit(memory_namespace, timestamp DESC)
    WHERE memory_namespace IS NOT NULL;

-- What was done to one memory, newest first? Also the foreign key.
CREATE INDEX idx_audit_memory_entry ON audit(memory_entry_id, timestamp DESC)
    WHERE memory_entry_id IS NOT NULL;
