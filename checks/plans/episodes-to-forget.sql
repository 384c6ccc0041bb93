-- The episodes that are old enough to forget, oldest first
-- index: idx_memory_episodic_ttl
SELECT id, namespace, key, updated_at
  FROM memory_entries INDEXED BY idx_memory_episodic_ttl   -- smaller than the one by type
 WHERE memory_type = 'episodic' AND is_deleted = 0 AND updated_at < :before
 ORDER BY updated_at;
