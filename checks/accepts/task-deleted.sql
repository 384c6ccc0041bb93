-- A task that is deleted takes its agents and checkpoints along, and leaves its trail behind

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'completed', '{}', '2026-01-01', '2026-01-01'),
       ('t2', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)
VALUES ('a1', 'ann', 'any', 't1', 'idle', 'm', '2026-01-01'),
       ('a2', 'ben', 'any', 't2', 'idle', 'm', '2026-01-01');
INSERT INTO checkpoints (task_id, iteration, state, created_at)
VALUES ('t1', 1, '{}', '2026-01-01'), ('t2', 1, '{}', '2026-01-01');
INSERT INTO audit (timestamp, task_id, action_type)
VALUES ('2026-01-01', 't1', 'start'), ('2026-01-01', 't2', 'start');

DELETE FROM tasks WHERE id = 't1';

SELECT 'agents: ' || id || ' stayed' FROM agents WHERE task_id = 't1';
SELECT 'checkpoints: iteration ' || iteration || ' stayed' FROM checkpoints WHERE task_id = 't1';
SELECT 'agents or checkpoints of another task went'
 WHERE (SELECT count(*) FROM agents) <> 1 OR (SELECT count(*) FROM checkpoints) <> 1;
SELECT 'the trail went with the task, or lost its name'
 WHERE (SELECT count(*) FROM audit WHERE task_id = 't1') <> 1;
