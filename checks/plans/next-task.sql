-- The next task to run: the most urgent first, then the oldest
-- index: idx_tasks_status_priority
SELECT id, prompt, agent_type, priority, input_data
  FROM tasks
 WHERE status = :status
 ORDER BY priority DESC, submitted_at
 LIMIT :limit;
