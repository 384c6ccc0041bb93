-- What was done in exactly one namespace, newest first
-- index: idx_audit_memory_namespace
SELECT id, timestamp, agent_id, memory_operation_type, memory_entry_id
  FROM audit
 WHERE memory_namespace = :namespace
 ORDER BY timestamp DESC
 LIMIT :limit;
