-- The memories of exactly one namespace, newest first
-- index: idx_memory_namespace_prefix
SELECT id, key, value, version, updated_at
  FROM memory_entries
 WHERE namespace = :namespace AND is_deleted = 0
 ORDER BY updated_at DESC
 LIMIT :limit;
