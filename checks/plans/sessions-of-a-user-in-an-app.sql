-- Where a user left off in one application
-- index: idx_sessions_app_user
SELECT id, status, state, last_update_time
  FROM sessions
 WHERE app_name = :app_name AND user_id = :user_id
 ORDER BY last_update_time DESC
 LIMIT :limit;
