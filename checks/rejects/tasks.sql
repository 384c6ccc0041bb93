-- tasks refuses rows that lack what every task needs, and parents that do not exist

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at, parent_task_id)
VALUES ('t0', 'do', 'ready', '{}', '2026-01-01', '2026-01-01', 't1');


-- NOT NULL constraint failed: tasks.prompt
INSERT INTO tasks (id, status, input_data, submitted_at, last_updated_at)
VALUES ('t2', 'ready', '{}', '2026-01-01', '2026-01-01');

-- NOT NULL constraint failed: tasks.status
INSERT INTO tasks (id, prompt, input_data, submitted_at, last_updated_at)
VALUES ('t2', 'do', '{}', '2026-01-01', '2026-01-01');

-- NOT NULL constraint failed: tasks.input_data
INSERT INTO tasks (id, prompt, status, submitted_at, last_updated_at)
VALUES ('t2', 'do', 'ready', '2026-01-01', '2026-01-01');

-- NOT NULL constraint failed: tasks.submitted_at
INSERT INTO tasks (id, prompt, status, input_data, last_updated_at)
VALUES ('t2', 'do', 'ready', '{}', '2026-01-01');

-- NOT NULL constraint failed: tasks.last_updated_at
INSERT INTO tasks (id, prompt, status, input_data, submitted_at)
VALUES ('t2', 'do', 'ready', '{}', '2026-01-01');


-- UNIQUE constraint failed: tasks.id
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');

-- FOREIGN KEY constraint failed: tasks.parent_task_id
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at, parent_task_id)
VALUES ('t2', 'do', 'ready', '{}', '2026-01-01', '2026-01-01', 'nobody');

-- FOREIGN KEY constraint failed: tasks.session_id
INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at, session_id)
VALUES ('t2', 'do', 'ready', '{}', '2026-01-01', '2026-01-01', 'nobody');

-- FOREIGN KEY constraint failed: tasks.parent_task_id
DELETE FROM tasks WHERE id = 't1';
