-- A session that is deleted leaves its tasks, agents and checkpoints behind, without it

INSERT INTO sessions (id, app_name, user_id) VALUES ('s1', 'chat', 'alice'), ('s2', 'chat', 'bob');
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at, session_id)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01', 's1'),
       ('t2', 'do', 'ready', '{}', '2026-01-01', '2026-01-01', 's2');
INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at, session_id)
VALUES ('a1', 'ann', 'any', 't1', 'idle', 'm', '2026-01-01', 's1'),
       ('a2', 'ben', 'any', 't2', 'idle', 'm', '2026-01-01', 's2');
INSERT INTO checkpoints (task_id, iteration, state, created_at, session_id)
VALUES ('t1', 1, '{}', '2026-01-01', 's1'),
       ('t2', 1, '{}', '2026-01-01', 's2');

DELETE FROM sessions WHERE id = 's1';

SELECT 'tasks: ' || id || ' has session ' || coalesce(session_id, 'NULL') FROM tasks
 WHERE session_id IS NOT CASE id WHEN 't2' THEN 's2' END;
SELECT 'agents: ' || id || ' has session ' || coalesce(session_id, 'NULL') FROM agents
 WHERE session_id IS NOT CASE id WHEN 'a2' THEN 's2' END;
SELECT 'checkpoints: of ' || task_id || ' has session ' || coalesce(session_id, 'NULL')
  FROM checkpoints
 WHERE session_id IS NOT CASE task_id WHEN 't2' THEN 's2' END;
SELECT 'a row went with the session'
 WHERE (SELECT count(*) FROM tasks) <> 2
    OR (SELECT count(*) FROM agents) <> 2
    OR (SELECT count(*) FROM checkpoints) <> 2;
