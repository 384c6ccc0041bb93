-- Current memories with words, the best first of those of the newest 5,000
-- step: search
-- index: memory_search
-- sorts: ranking takes a microsecond for each memory, and a frequent word is in most of them
SELECT m.id, m.namespace, m.key, m.value, m.memory_type, m.version, m.is_deleted, m.metadata,
       m.created_by, m.updated_by, m.created_at, m.updated_at,
       snippet(memory_search, 3, '[', ']', '…', 12) AS snippet
  FROM (SELECT id, score
          FROM (SELECT rowid AS id, bm25(memory_search, 0.0, 0.0, 2.0, 1.0) AS score
                  FROM memory_search
                 WHERE memory_search MATCH :words
                 ORDER BY rowid DESC
                 LIMIT 5000)
         ORDER BY score
         LIMIT :limit) AS best
 CROSS JOIN memory_search
  JOIN memory_entries AS m ON m.id = best.id
 WHERE memory_search MATCH :words AND memory_search.rowid = best.id
 ORDER BY best.score;
