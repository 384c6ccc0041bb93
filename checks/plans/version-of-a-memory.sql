-- One version of a memory
-- index: sqlite_autoindex_memory_entries_1
SELECT id, namespace, key, value, memory_type, version, is_deleted, metadata, created_by, updated_by,
       created_at, updated_at
  FROM memory_entries
 WHERE namespace = :namespace AND key = :key AND version = :version;
