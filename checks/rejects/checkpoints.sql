-- checkpoints refuses incomplete rows, a second state of an iteration, unknown tasks

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO checkpoints (task_id, iteration, state, created_at)
VALUES ('t1', 1, '{}', '2026-01-01');


-- NOT NULL constraint failed: checkpoints.task_id
INSERT INTO checkpoints (iteration, state, created_at) VALUES (2, '{}', '2026-01-01');

-- NOT NULL constraint failed: checkpoints.iteration
INSERT INTO checkpoints (task_id, state, created_at) VALUES ('t1', '{}', '2026-01-01');

-- NOT NULL constraint failed: checkpoints.state
INSERT INTO checkpoints (task_id, iteration, created_at) VALUES ('t1', 2, '2026-01-01');

-- NOT NULL constraint failed: checkpoints.created_at
INSERT INTO checkpoints (task_id, iteration, state) VALUES ('t1', 2, '{}');


-- UNIQUE constraint failed: checkpoints.task_id, checkpoints.iteration
INSERT INTO checkpoints (task_id, iteration, state, created_at)
VALUES ('t1', 1, '{}', '2026-01-01');

-- FOREIGN KEY constraint failed: checkpoints.task_id
INSERT INTO checkpoints (task_id, iteration, state, created_at)
VALUES ('nobody', 2, '{}', '2026-01-01');

-- FOREIGN KEY constraint failed: checkpoints.session_id
INSERT INTO checkpoints (task_id, iteration, state, created_at, session_id)
VALUES ('t1', 2, '{}', '2026-01-01', 'nobody');
