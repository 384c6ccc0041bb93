-- The live sessions of one status, newest first
-- index: idx_sessions_status_updated
SELECT id, app_name, user_id, last_update_time
  FROM sessions
 WHERE status = :status AND status IN ('active', 'paused')   -- the index has only these two
 ORDER BY last_update_time DESC
 LIMIT :limit;
