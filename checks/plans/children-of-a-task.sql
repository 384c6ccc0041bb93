-- The tasks that a task gave rise to
-- index: idx_tasks_parent
SELECT id, status, prompt
  FROM tasks
 WHERE parent_task_id = :task_id;
