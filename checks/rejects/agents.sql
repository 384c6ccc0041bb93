-- agents refuses rows that lack what every agent needs, and tasks that do not exist

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)
VALUES ('a1', 'ann', 'any', 't1', 'idle', 'm', '2026-01-01');


-- NOT NULL constraint failed: agents.name
INSERT INTO agents (id, specialization, task_id, state, model, spawned_at)
VALUES ('a2', 'any', 't1', 'idle', 'm', '2026-01-01');

-- NOT NULL constraint failed: agents.specialization
INSERT INTO agents (id, name, task_id, state, model, spawned_at)
VALUES ('a2', 'ann', 't1', 'idle', 'm', '2026-01-01');

-- NOT NULL constraint failed: agents.task_id
INSERT INTO agents (id, name, specialization, state, model, spawned_at)
VALUES ('a2', 'ann', 'any', 'idle', 'm', '2026-01-01');

-- NOT NULL constraint failed: agents.state
INSERT INTO agents (id, name, specialization, task_id, model, spawned_at)
VALUES ('a2', 'ann', 'any', 't1', 'm', '2026-01-01');

-- NOT NULL constraint failed: agents.model
INSERT INTO agents (id, name, specialization, task_id, state, spawned_at)
VALUES ('a2', 'ann', 'any', 't1', 'idle', '2026-01-01');

-- NOT NULL constraint failed: agents.spawned_at
INSERT INTO agents (id, name, specialization, task_id, state, model)
VALUES ('a2', 'ann', 'any', 't1', 'idle', 'm');


-- UNIQUE constraint failed: agents.id
INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)
VALUES ('a1', 'ann', 'any', 't1', 'idle', 'm', '2026-01-01');

-- FOREIGN KEY constraint failed: agents.task_id
INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at)
VALUES ('a2', 'ann', 'any', 'nobody', 'idle', 'm', '2026-01-01');

-- FOREIGN KEY constraint failed: agents.session_id
INSERT INTO agents (id, name, specialization, task_id, state, model, spawned_at, session_id)
VALUES ('a2', 'ann', 'any', 't1', 'idle', 'm', '2026-01-01', 'nobody');
