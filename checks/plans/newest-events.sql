-- What happened last
-- index: idx_audit_timestamp
SELECT id, timestamp, agent_id, task_id, action_type
  FROM audit
 WHERE timestamp >= :since
 ORDER BY timestamp DESC
 LIMIT :limit;
