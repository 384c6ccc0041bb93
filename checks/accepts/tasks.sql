-- tasks takes the least that a task needs, fills in the defaults, and lets a task be a parent

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', '', 'ready', '{}', '2026-01-01', '2026-01-01');
SELECT 'a default is wrong' FROM tasks
 WHERE (agent_type, priority, retry_count, max_retries, max_execution_timeout_seconds)
       IS NOT ('general', 5, 0, 3, 3600);

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at, parent_task_id,
                   dependencies)
VALUES ('t2', 'überprüfe 数据', 'ready', '{}', '2026-01-01', '2026-01-01', 't1', '["t1"]');

-- Older rows must stay legal: no CHECK on what a status or a priority may be, nor on JSON.
INSERT INTO tasks (id, prompt, status, priority, input_data, submitted_at, last_updated_at)
VALUES ('t3', 'do', 'some older status', 11, 'not JSON', 'not a time', 'not a time');
