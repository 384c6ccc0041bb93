-- The checkpoints that are old enough to drop
-- index: idx_checkpoints_created_at
SELECT task_id, iteration
  FROM checkpoints
 WHERE created_at < :before
 ORDER BY created_at;
