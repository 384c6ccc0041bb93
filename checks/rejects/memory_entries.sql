-- memory_entries refuses incomplete rows, unknown types, wrong versions, and what is not JSON

INSERT INTO memory_entries (id, namespace, key, value, memory_type)
VALUES (1, 'user:alice', 'k1', '{}', 'semantic');


-- NOT NULL constraint failed: memory_entries.namespace
INSERT INTO memory_entries (key, value, memory_type) VALUES ('k2', '{}', 'semantic');

-- NOT NULL constraint failed: memory_entries.key
INSERT INTO memory_entries (namespace, value, memory_type) VALUES ('user:alice', '{}', 'semantic');

-- NOT NULL constraint failed: memory_entries.value
INSERT INTO memory_entries (namespace, key, memory_type) VALUES ('user:alice', 'k2', 'semantic');

-- NOT NULL constraint failed: memory_entries.memory_type
INSERT INTO memory_entries (namespace, key, value) VALUES ('user:alice', 'k2', '{}');


-- UNIQUE constraint failed: memory_entries.id
INSERT INTO memory_entries (id, namespace, key, value, memory_type)
VALUES (1, 'user:alice', 'k2', '{}', 'semantic');

-- UNIQUE constraint failed: memory_entries.namespace, memory_entries.key, memory_entries.version
INSERT INTO memory_entries (namespace, key, value, memory_type)
VALUES ('user:alice', 'k1', '{}', 'semantic');

-- CHECK constraint failed: memory_type IN ('semantic', 'episodic', 'procedural')
INSERT INTO memory_entries (namespace, key, value, memory_type)
VALUES ('user:alice', 'k2', '{}', 'Semantic');

-- CHECK constraint failed: memory_type IN ('semantic', 'episodic', 'procedural')
INSERT INTO memory_entries (namespace, key, value, memory_type)
VALUES ('user:alice', 'k2', '{}', 'working');

-- CHECK constraint failed: json_valid(value)
INSERT INTO memory_entries (namespace, key, value, memory_type)
VALUES ('user:alice', 'k2', 'likes tea', 'semantic');

-- CHECK constraint failed: json_valid(metadata)
INSERT INTO memory_entries (namespace, key, value, memory_type, metadata)
VALUES ('user:alice', 'k2', '{}', 'semantic', '{');

-- CHECK constraint failed: version > 0
INSERT INTO memory_entries (namespace, key, value, memory_type, version)
VALUES ('user:alice', 'k2', '{}', 'semantic', 0);

-- CHECK constraint failed: version > 0
INSERT INTO memory_entries (namespace, key, value, memory_type, version)
VALUES ('user:alice', 'k2', '{}', 'semantic', -1);
