-- Start a task that is ready
-- index: sqlite_autoindex_tasks_1
UPDATE tasks
   SET status = 'running',
       started_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
       last_updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
 WHERE id = :id AND status = 'ready';
