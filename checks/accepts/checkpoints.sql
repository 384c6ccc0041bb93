-- checkpoints takes one state for each iteration of a task, and t1 and T1 are two tasks

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01'),
       ('t2', 'do', 'ready', '{}', '2026-01-01', '2026-01-01'),
       ('T1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO checkpoints (task_id, iteration, state, created_at)
VALUES ('t1', 1, '{}', '2026-01-01'), ('t1', 2, '{}', '2026-01-01'), ('t2', 1, '{}', '2026-01-01'),
       ('T1', 1, '{}', '2026-01-01');
