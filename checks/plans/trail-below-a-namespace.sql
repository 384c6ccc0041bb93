-- What was done below a namespace
-- index: idx_audit_memory_namespace
-- subtree: memory_namespace
SELECT id, timestamp, agent_id, memory_namespace, memory_operation_type, memory_entry_id
  FROM audit
 WHERE memory_namespace = :namespace
    OR (memory_namespace >= :namespace || ':' AND memory_namespace < :namespace || ';');
