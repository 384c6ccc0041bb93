-- Claim the next task: the most urgent first, then the oldest
-- index: idx_tasks_status_priority, rowid
UPDATE tasks
   SET status = 'running',
       started_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
       last_updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
 WHERE rowid = (SELECT rowid
                  FROM tasks
                 WHERE status = 'ready' AND (:agent_type IS NULL OR agent_type = :agent_type)
                 ORDER BY priority DESC, submitted_at
                 LIMIT 1)
RETURNING id, prompt, agent_type, priority, status, input_data, retry_count, max_retries,
          max_execution_timeout_seconds, submitted_at, started_at, parent_task_id, dependencies,
          session_id;
