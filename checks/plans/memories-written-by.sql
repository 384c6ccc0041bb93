-- What a session or an agent wrote, newest first
-- index: idx_memory_created_by
SELECT id, namespace, key, version, created_at
  FROM memory_entries
 WHERE created_by = :created_by
 ORDER BY created_at DESC
 LIMIT :limit;
