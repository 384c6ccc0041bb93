-- A task was last updated at the latest time known of it
-- fills: tasks.last_updated_at
SELECT coalesce(completed_at, started_at, submitted_at) FROM tasks;
