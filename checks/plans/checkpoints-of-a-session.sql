-- What a session can go on from, newest first
-- index: idx_checkpoints_session
SELECT task_id, iteration, state, created_at
  FROM checkpoints
 WHERE session_id = :session_id
 ORDER BY created_at DESC
 LIMIT :limit;
