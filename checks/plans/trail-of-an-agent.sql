-- What an agent did, newest first
-- index: idx_audit_agent
SELECT id, timestamp, task_id, action_type, result
  FROM audit
 WHERE agent_id = :agent_id
 ORDER BY timestamp DESC
 LIMIT :limit;
