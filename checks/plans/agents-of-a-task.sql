-- The agents that work on a task
-- index: idx_agents_task
SELECT id, name, state
  FROM agents
 WHERE task_id = :task_id;
