-- The namespaces of current memories, with their number and the bytes of their values
SELECT namespace, count(*), sum(length(CAST(value AS BLOB)))
  FROM memory_entries
 WHERE is_deleted = 0
 GROUP BY namespace;
