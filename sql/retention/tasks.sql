-- Tasks that are done, with their agents, checkpoints and state
-- older-than: 365 days
-- with: state, checkpoints, agents
-- index: idx_tasks_submitted_at
-- (`+status`: not by the index of the status, which has the new ones too.)
-- Kept as long as something counts on one: a task below it, one that waits for it, the trail of one
-- of its agents (audit.agent_id).
DELETE FROM tasks
 WHERE submitted_at BETWEEN '' AND :before
   AND +status IN ('completed', 'failed', 'cancelled')
   AND julianday(coalesce(completed_at, last_updated_at)) < julianday(:before)
   AND NOT EXISTS (SELECT 1
                     FROM tasks AS below
                    WHERE below.parent_task_id = tasks.id AND below.id <> tasks.id)
   AND NOT EXISTS (SELECT 1
                     FROM agents
                     JOIN audit ON audit.agent_id = agents.id
                    WHERE agents.task_id = tasks.id)
   AND id NOT IN (SELECT needed.value
                    FROM tasks AS waiting,
                         json_each(iif(json_valid(waiting.dependencies), waiting.dependencies,
                                       '[]')) AS needed
                   WHERE waiting.dependencies <> '[]'
                     AND (waiting.status < 'cancelled'
                          OR waiting.status > 'cancelled' AND waiting.status < 'completed'
                          OR waiting.status > 'completed' AND waiting.status < 'failed'
                          OR waiting.status > 'failed')   -- NOT IN, but by the index
                     AND needed.value IS NOT NULL);
