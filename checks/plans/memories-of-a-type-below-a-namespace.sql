-- The memories of a type below a namespace
-- index: idx_memory_type_namespace
-- subtree: namespace
-- with: memory_type = semantic
SELECT id, namespace, key, value, version, updated_at
  FROM memory_entries
 WHERE memory_type = :memory_type AND is_deleted = 0
   -- one range for the index, which cannot serve an OR behind another column ...
   AND namespace >= :namespace AND namespace < :namespace || ';'
   -- ... and the subtree in it
   AND (namespace = :namespace
        OR (namespace >= :namespace || ':' AND namespace < :namespace || ';'));
