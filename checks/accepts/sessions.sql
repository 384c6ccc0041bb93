-- sessions takes the least that a session needs, fills in the defaults, and knows five statuses

INSERT INTO sessions (id, app_name, user_id) VALUES ('s0', 'chat', 'alice');
SELECT 'a default is wrong' FROM sessions
 WHERE (status, events, state, metadata) IS NOT ('created', '[]', '{}', '{}')
    OR created_at IS NOT datetime(created_at) OR last_update_time IS NOT created_at;

INSERT INTO sessions (id, app_name, user_id, status)
VALUES ('s1', 'chat', 'alice', 'created'), ('s2', 'chat', 'alice', 'active'),
       ('s3', 'chat', 'alice', 'paused'), ('s4', 'chat', 'alice', 'terminated'),
       ('s5', 'chat', 'alice', 'archived');
INSERT INTO sessions (id, app_name, user_id, project_id, events, state, metadata)
VALUES ('s6', 'chat', 'alice', 'p1', '[{"text": "grüße 数据"}]', '{"app:theme": "dark"}', '[]');
