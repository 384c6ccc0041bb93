-- How many versions of one memory are not forgotten
-- index: idx_memory_namespace_key_version
SELECT count(*) AS number
  FROM memory_entries
 WHERE namespace = :namespace AND key = :key AND is_deleted = 0;
