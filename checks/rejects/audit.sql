-- audit refuses incomplete rows, and agents and memories that do not exist

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO audit (id, timestamp, task_id, action_type) VALUES (1, '2026-01-01', 't1', 'read');


-- NOT NULL constraint failed: audit.timestamp
INSERT INTO audit (task_id, action_type) VALUES ('t1', 'read');

-- NOT NULL constraint failed: audit.action_type
INSERT INTO audit (timestamp, task_id) VALUES ('2026-01-01', 't1');


-- UNIQUE constraint failed: audit.id
INSERT INTO audit (id, timestamp, task_id, action_type) VALUES (1, '2026-01-01', 't1', 'read');

-- FOREIGN KEY constraint failed: audit.agent_id
INSERT INTO audit (timestamp, task_id, action_type, agent_id)
VALUES ('2026-01-01', 't1', 'read', 'nobody');

-- FOREIGN KEY constraint failed: audit.memory_entry_id
INSERT INTO audit (timestamp, task_id, action_type, memory_entry_id)
VALUES ('2026-01-01', 't1', 'read', 7);
