-- Episodes: what happened once, and was not written again since
-- older-than: 90 days
-- memory-operation: delete
-- index: idx_memory_type_updated
-- A version stays as long as an earlier one does, which would become the current one.
DELETE FROM memory_entries
 WHERE memory_type = 'episodic' AND is_deleted = 0
   AND updated_at BETWEEN '' AND :before AND julianday(updated_at) < julianday(:before)
   AND NOT EXISTS (SELECT 1
                     FROM memory_entries AS earlier
                    WHERE earlier.namespace = memory_entries.namespace
                      AND earlier.key = memory_entries.key
                      AND earlier.version < memory_entries.version
                      AND earlier.is_deleted = 0
                      AND (earlier.memory_type = 'episodic'
                           AND julianday(earlier.updated_at) < julianday(:before)) IS NOT TRUE);
