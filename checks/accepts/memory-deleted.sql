-- A memory that is deleted leaves its audit trail behind, without it

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO memory_entries (id, namespace, key, value, memory_type)
VALUES (1, 'user:alice', 'tea', '"green"', 'semantic'),
       (2, 'user:alice', 'cup', '"big"', 'semantic');
INSERT INTO audit (id, timestamp, task_id, action_type, memory_operation_type, memory_namespace,
                   memory_entry_id)
VALUES (1, '2026-01-01', 't1', 'memory', 'create', 'user:alice', 1),
       (2, '2026-01-01', 't1', 'memory', 'create', 'user:alice', 2);

DELETE FROM memory_entries WHERE id = 1;

SELECT 'audit: ' || id || ' has entry ' || coalesce(memory_entry_id, 'NULL') FROM audit
 WHERE memory_entry_id IS NOT CASE id WHEN 2 THEN 2 END;
SELECT 'a row went with the memory' WHERE (SELECT count(*) FROM audit) <> 2;
SELECT 'the namespace went with the memory' FROM audit WHERE memory_namespace IS NULL;
