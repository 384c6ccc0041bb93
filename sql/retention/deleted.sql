-- Memories that were deleted: since then they are only history
-- older-than: 90 days
-- memory-operation: delete
-- A version stays as long as an earlier one is not deleted, which could be taken for the current one.
DELETE FROM memory_entries
 WHERE is_deleted = 1
   AND updated_at BETWEEN '' AND :before AND julianday(updated_at) < julianday(:before)
   AND NOT EXISTS (SELECT 1
                     FROM memory_entries AS earlier
                    WHERE earlier.namespace = memory_entries.namespace
                      AND earlier.key = memory_entries.key
                      AND earlier.version < memory_entries.version
                      AND earlier.is_deleted = 0);
