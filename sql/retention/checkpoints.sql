-- Checkpoints of tasks that are done: nobody will resume from them
-- older-than: 30 days
-- index: idx_checkpoints_created_at
DELETE FROM checkpoints
 WHERE created_at BETWEEN '' AND :before AND julianday(created_at) < julianday(:before)
   AND EXISTS (SELECT 1
                 FROM tasks
                WHERE tasks.id = checkpoints.task_id
                  AND tasks.status IN ('completed', 'failed', 'cancelled'));
