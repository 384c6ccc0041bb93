-- What was asked in a session, newest first
-- index: idx_tasks_session
SELECT id, prompt, status, submitted_at
  FROM tasks
 WHERE session_id = :session_id
 ORDER BY submitted_at DESC
 LIMIT :limit;
