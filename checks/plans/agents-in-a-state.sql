-- The agents that are idle, or working
-- index: idx_agents_state
SELECT id, name, specialization, task_id
  FROM agents
 WHERE state = :state;
