-- The task to claim: the most urgent of those that are ready, then the oldest
-- index: idx_tasks_status_priority
SELECT id
  FROM tasks
 WHERE status = 'ready' AND (:agent_type IS NULL OR agent_type = :agent_type)
 ORDER BY priority DESC, submitted_at, rowid
 LIMIT 1;
