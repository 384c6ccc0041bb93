-- The versions of one memory, newest first, forgotten ones included
-- index: sqlite_autoindex_memory_entries_1
SELECT id, namespace, key, value, memory_type, version, is_deleted, metadata, created_by, updated_by,
       created_at, updated_at
  FROM memory_entries
 WHERE namespace = :namespace AND key = :key
 ORDER BY version DESC
 LIMIT :limit;
