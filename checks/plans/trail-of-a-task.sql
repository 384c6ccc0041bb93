-- What happened in a task, newest first
-- index: idx_audit_task
SELECT id, timestamp, agent_id, action_type, result
  FROM audit
 WHERE task_id = :task_id
 ORDER BY timestamp DESC
 LIMIT :limit;
