-- Everything below a namespace
-- index: idx_memory_namespace_prefix
-- subtree: namespace
SELECT id, namespace, key, value, memory_type, version, updated_at
  FROM memory_entries
 WHERE (namespace = :namespace
        OR (namespace >= :namespace || ':' AND namespace < :namespace || ';'))
   AND is_deleted = 0;
