-- The sessions of a project, newest first
-- index: idx_sessions_project
SELECT id, user_id, status, created_at
  FROM sessions
 WHERE project_id = :project_id
 ORDER BY created_at DESC
 LIMIT :limit;
