-- The tasks that came in between two times
-- index: idx_tasks_submitted_at
SELECT id, status, submitted_at
  FROM tasks
 WHERE submitted_at >= :since AND submitted_at < :until
 ORDER BY submitted_at;
