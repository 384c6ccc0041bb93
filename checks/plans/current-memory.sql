-- The current version of one memory
-- index: idx_memory_namespace_key_version
SELECT id, value, memory_type, version, metadata, updated_at
  FROM memory_entries
 WHERE namespace = :namespace AND key = :key AND is_deleted = 0
 ORDER BY version DESC
 LIMIT 1;
