-- A user's history, newest first
-- index: idx_sessions_user_created
SELECT id, app_name, status, created_at
  FROM sessions
 WHERE user_id = :user_id
 ORDER BY created_at DESC
 LIMIT :limit;
