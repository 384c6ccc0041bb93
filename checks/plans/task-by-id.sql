-- One task
-- index: sqlite_autoindex_tasks_1
SELECT id, prompt, agent_type, priority, status, input_data, retry_count, max_retries,
       max_execution_timeout_seconds, submitted_at, started_at, parent_task_id, dependencies,
       session_id
  FROM tasks
 WHERE id = :id;
