-- audit takes actions that have nothing to do with memory, and never gives a number twice

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO audit (timestamp, task_id, action_type) VALUES ('2026-01-01', 't1', 'start');
DELETE FROM audit;
INSERT INTO audit (timestamp, task_id, action_type) VALUES ('2026-01-01', 't1', 'stop');
SELECT 'a number was given twice' FROM audit WHERE id = 1;
SELECT 'a memory column is not NULL' FROM audit
 WHERE coalesce(memory_operation_type, memory_namespace, memory_entry_id) IS NOT NULL;
