-- audit takes actions without memory or task, or of a task that is gone, and no number twice

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO audit (timestamp, task_id, action_type) VALUES ('2026-01-01', 't1', 'start');
DELETE FROM audit;
INSERT INTO audit (timestamp, task_id, action_type) VALUES ('2026-01-01', 't1', 'stop');
SELECT 'a number was given twice' FROM audit WHERE id = 1;
INSERT INTO audit (timestamp, action_type, memory_operation_type, memory_namespace)
VALUES ('2026-01-01', 'memory', 'create', 'user:alice');   -- outside of a task
INSERT INTO audit (timestamp, task_id, action_type) VALUES ('2026-01-01', 'gone', 'pruned');
SELECT 'a memory column is not NULL' FROM audit
 WHERE coalesce(memory_operation_type, memory_namespace, memory_entry_id) IS NOT NULL
   AND task_id IS NOT NULL;
