-- The newest memories of a type
-- index: idx_memory_type_updated
SELECT id, namespace, key, value, updated_at
  FROM memory_entries
 WHERE memory_type = :memory_type AND is_deleted = 0
 ORDER BY updated_at DESC
 LIMIT :limit;
