-- Current memories with words, the best first
-- step: search
-- index: memory_search
SELECT m.id, m.namespace, m.key, m.value, m.memory_type, m.version, m.is_deleted, m.metadata,
       m.created_by, m.updated_by, m.created_at, m.updated_at,
       snippet(memory_search, 2, '[', ']', '…', 12) AS snippet
  FROM memory_search
  JOIN memory_entries AS m ON m.id = memory_search.rowid
 WHERE memory_search MATCH :words AND rank MATCH 'bm25(0.0, 2.0, 1.0)'
   AND (:namespace IS NULL OR m.namespace = :namespace
        OR (m.namespace >= :namespace || ':' AND m.namespace < :namespace || ';'))
 ORDER BY rank
 LIMIT :limit;
