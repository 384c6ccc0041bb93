-- state takes one value for each task and key, and numbers its rows

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01'),
       ('t2', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO state (task_id, key, value, created_at, updated_at)
VALUES ('t1', 'k', '{}', '2026-01-01', '2026-01-01'),
       ('t1', 'K', '{}', '2026-01-01', '2026-01-01'),   -- another key: letter case counts
       ('t2', 'k', '{}', '2026-01-01', '2026-01-01');
