-- What has changed since a time, newest first
-- index: idx_memory_updated_at
SELECT id, namespace, key, version, updated_at
  FROM memory_entries
 WHERE updated_at >= :since AND is_deleted = 0
 ORDER BY updated_at DESC
 LIMIT :limit;
