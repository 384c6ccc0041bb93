-- Forget all versions of a memory
-- index: idx_memory_namespace_key_version
UPDATE memory_entries
   SET is_deleted = 1, updated_by = :updated_by, updated_at = CURRENT_TIMESTAMP
 WHERE namespace = :namespace AND key = :key AND is_deleted = 0;
