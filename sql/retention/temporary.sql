-- Everything below the namespace temp:
-- older-than: 7 days
-- memory-operation: delete
-- index: idx_memory_namespace_prefix
-- A version stays as long as an earlier one does, which would become the current one.
DELETE FROM memory_entries
 WHERE namespace >= 'temp:' AND namespace < 'temp;' AND is_deleted = 0
   AND typeof(updated_at) = 'text' AND julianday(updated_at) < julianday(:before)
   AND NOT EXISTS (SELECT 1
                     FROM memory_entries AS earlier
                    WHERE earlier.namespace = memory_entries.namespace
                      AND earlier.key = memory_entries.key
                      AND earlier.version < memory_entries.version
                      AND earlier.is_deleted = 0
                      AND (julianday(earlier.updated_at) < julianday(:before)) IS NOT TRUE);
