-- state refuses incomplete rows, a second value for a key, and tasks that do not exist

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO state (task_id, key, value, created_at, updated_at)
VALUES ('t1', 'k1', '{}', '2026-01-01', '2026-01-01');


-- NOT NULL constraint failed: state.task_id
INSERT INTO state (key, value, created_at, updated_at)
VALUES ('k2', '{}', '2026-01-01', '2026-01-01');

-- NOT NULL constraint failed: state.key
INSERT INTO state (task_id, value, created_at, updated_at)
VALUES ('t1', '{}', '2026-01-01', '2026-01-01');

-- NOT NULL constraint failed: state.value
INSERT INTO state (task_id, key, created_at, updated_at)
VALUES ('t1', 'k2', '2026-01-01', '2026-01-01');

-- NOT NULL constraint failed: state.created_at
INSERT INTO state (task_id, key, value, updated_at) VALUES ('t1', 'k2', '{}', '2026-01-01');

-- NOT NULL constraint failed: state.updated_at
INSERT INTO state (task_id, key, value, created_at) VALUES ('t1', 'k2', '{}', '2026-01-01');


-- UNIQUE constraint failed: state.task_id, state.key
INSERT INTO state (task_id, key, value, created_at, updated_at)
VALUES ('t1', 'k1', '{}', '2026-01-01', '2026-01-01');

-- UNIQUE constraint failed: state.id
INSERT INTO state (id, task_id, key, value, created_at, updated_at)
VALUES (1, 't1', 'k2', '{}', '2026-01-01', '2026-01-01');

-- FOREIGN KEY constraint failed: state.task_id
INSERT INTO state (task_id, key, value, created_at, updated_at)
VALUES ('nobody', 'k2', '{}', '2026-01-01', '2026-01-01');

-- FOREIGN KEY constraint failed: state.task_id
DELETE FROM tasks WHERE id = 't1';
