-- What was done to one memory, newest first
-- index: idx_audit_memory_entry
SELECT id, timestamp, agent_id, memory_operation_type, action_data
  FROM audit
 WHERE memory_entry_id = :memory_entry_id
 ORDER BY timestamp DESC
 LIMIT :limit;
