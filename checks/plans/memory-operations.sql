-- One kind of memory operation since a time, newest first
-- index: idx_audit_memory_operations
SELECT id, timestamp, agent_id, memory_namespace, memory_entry_id
  FROM audit
 WHERE memory_operation_type = :memory_operation_type AND timestamp >= :since
 ORDER BY timestamp DESC
 LIMIT :limit;
