-- Each index serves one query, described above it; the query itself is in checks/plans/.


-- tasks

-- Which task is next? The most urgent first, then the oldest.
CREATE INDEX idx_tasks_status_priority ON tasks(status, priority DESC, submitted_at);

-- Which tasks came in between two times?
CREATE INDEX idx_tasks_submitted_at ON tasks(submitted_at);

-- Which tasks did a task give rise to? Also the foreign key.
CREATE INDEX idx_tasks_parent ON tasks(parent_task_id);

-- Which running tasks have not been heard of for too long?
CREATE INDEX idx_tasks_running_timeout ON tasks(status, last_updated_at)
    WHERE status = 'running';

-- What was asked in a session, newest first? Also the foreign key.
CREATE INDEX idx_tasks_session ON tasks(session_id, submitted_at DESC)
    WHERE session_id IS NOT NULL;


-- agents

-- Which agents work on a task? Also the foreign key.
CREATE INDEX idx_agents_task ON agents(task_id);

-- Which agents are idle, which are working?
CREATE INDEX idx_agents_state ON agents(state);

-- Which agents did a session start, newest first? Also the foreign key.
CREATE INDEX idx_agents_session ON agents(session_id, spawned_at DESC)
    WHERE session_id IS NOT NULL;


-- audit

-- What happened in a task, newest first? Also the foreign key.
CREATE INDEX idx_audit_task ON audit(task_id, timestamp DESC);

-- What did an agent do, newest first? Also the foreign key.
CREATE INDEX idx_audit_agent ON audit(agent_id, timestamp DESC);

-- What happened last?
CREATE INDEX idx_audit_timestamp ON audit(timestamp DESC);

-- Which memories were created (updated, deleted ...) since a time?
CREATE INDEX idx_audit_memory_operations ON audit(memory_operation_type, timestamp DESC)
    WHERE memory_operation_type IS NOT NULL;


-- metrics

-- How did one metric go over time?
CREATE INDEX idx_metrics_name_timestamp ON metrics(metric_name, timestamp DESC);


-- checkpoints

-- What can a session go on from, newest first? Also the foreign key.
CREATE INDEX idx_checkpoints_session ON checkpoints(session_id, created_at DESC)
    WHERE session_id IS NOT NULL;

-- Which checkpoints are old enough to drop?
CREATE INDEX idx_checkpoints_created_at ON checkpoints(created_at);
