-- The agents that a session started, newest first
-- index: idx_agents_session
SELECT id, name, state, spawned_at
  FROM agents
 WHERE session_id = :session_id
 ORDER BY spawned_at DESC
 LIMIT :limit;
