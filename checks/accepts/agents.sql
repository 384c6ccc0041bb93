-- agents takes the least that an agent needs

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)
VALUES ('a1', 'ann', 'any', 't1', 'idle', 'm', '2026-01-01'),
       ('a2', 'ann', 'any', 't1', 'idle', 'm', '2026-01-01');   -- names may repeat
UPDATE agents SET terminated_at = '2026-01-02', resource_usage = '{"tokens": 12}' WHERE id = 'a1';
