-- The current version of one memory
-- index: idx_memory_namespace_key_version
SELECT id, namespace, key, value, memory_type, version, is_deleted, metadata, created_by, updated_by,
       created_at, updated_at
  FROM memory_entries
 WHERE namespace = :namespace AND key = :key AND is_deleted = 0
 ORDER BY version DESC
 LIMIT 1;
