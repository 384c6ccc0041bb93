-- The running tasks that have not been heard of since a time
-- index: idx_tasks_running_timeout
SELECT id, last_updated_at, max_execution_timeout_seconds
  FROM tasks
 WHERE status = 'running' AND last_updated_at < :before
 ORDER BY last_updated_at;
