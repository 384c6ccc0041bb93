-- sessions refuses incomplete rows, unknown statuses, and what is not JSON

INSERT INTO sessions (id, app_name, user_id) VALUES ('s1', 'chat', 'alice');


-- NOT NULL constraint failed: sessions.app_name
INSERT INTO sessions (id, user_id) VALUES ('s2', 'alice');

-- NOT NULL constraint failed: sessions.user_id
INSERT INTO sessions (id, app_name) VALUES ('s2', 'chat');


-- UNIQUE constraint failed: sessions.id
INSERT INTO sessions (id, app_name, user_id) VALUES ('s1', 'chat', 'alice');

-- CHECK constraint failed: status IN ('created', 'active', 'paused', 'terminated', 'archived')
INSERT INTO sessions (id, app_name, user_id, status) VALUES ('s2', 'chat', 'alice', 'Active');

-- CHECK constraint failed: status IN ('created', 'active', 'paused', 'terminated', 'archived')
INSERT INTO sessions (id, app_name, user_id, status) VALUES ('s2', 'chat', 'alice', '');

-- CHECK constraint failed: json_valid(events)
INSERT INTO sessions (id, app_name, user_id, events) VALUES ('s2', 'chat', 'alice', '[1,');

-- CHECK constraint failed: json_valid(state)
INSERT INTO sessions (id, app_name, user_id, state) VALUES ('s2', 'chat', 'alice', '{a: }');

-- CHECK constraint failed: json_valid(metadata)
INSERT INTO sessions (id, app_name, user_id, metadata) VALUES ('s2', 'chat', 'alice', 'plain');
