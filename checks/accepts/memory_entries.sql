-- memory_entries takes every version of a memory, fills in the defaults, and knows three types

INSERT INTO memory_entries (id, namespace, key, value, memory_type)
VALUES (1, 'user:alice', 'tea', '"green"', 'semantic');
SELECT 'a default is wrong' FROM memory_entries
 WHERE (version, is_deleted, metadata) IS NOT (1, 0, '{}')
    OR created_at IS NOT datetime(created_at) OR updated_at IS NOT created_at;

INSERT INTO memory_entries (namespace, key, value, memory_type, version, is_deleted, metadata)
VALUES ('user:alice', 'tea', '"black"', 'semantic', 2, 0, '{"source": "chat"}'),
       ('user:alice', 'Tea', '"green"', 'episodic', 1, 0, '{}'),   -- another key
       ('user:bob', 'tea', 'null', 'procedural', 1, 0, '{}');

UPDATE memory_entries SET is_deleted = 1 WHERE namespace = 'user:alice' AND key = 'tea';   -- forget
SELECT 'more or less is left than the two others'
 WHERE (SELECT count(*) FROM memory_entries WHERE is_deleted = 0) <> 2;
