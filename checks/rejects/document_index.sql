-- document_index refuses incomplete rows, a path twice, unknown statuses, and what is not JSON

INSERT INTO document_index (id, file_path, title, content_hash) VALUES (1, 'a.md', 'B', 'b1946ac9');


-- NOT NULL constraint failed: document_index.file_path
INSERT INTO document_index (title, content_hash) VALUES ('B', 'b1946ac9');

-- NOT NULL constraint failed: document_index.title
INSERT INTO document_index (file_path, content_hash) VALUES ('b.md', 'b1946ac9');

-- NOT NULL constraint failed: document_index.content_hash
INSERT INTO document_index (file_path, title) VALUES ('b.md', 'B');


-- UNIQUE constraint failed: document_index.id
INSERT INTO document_index (id, file_path, title, content_hash) VALUES (1, 'b.md', 'B', 'b1946ac9');

-- UNIQUE constraint failed: document_index.file_path
INSERT INTO document_index (file_path, title, content_hash) VALUES ('a.md', 'B', 'b1946ac9');

-- CHECK constraint failed: sync_status IN ('pending', 'synced', 'failed', 'stale')
INSERT INTO document_index (file_path, title, content_hash, sync_status)
VALUES ('b.md', 'B', 'b1946ac9', 'Pending');

-- CHECK constraint failed: sync_status IN ('pending', 'synced', 'failed', 'stale')
INSERT INTO document_index (file_path, title, content_hash, sync_status)
VALUES ('b.md', 'B', 'b1946ac9', 'done');

-- CHECK constraint failed: json_valid(metadata)
INSERT INTO document_index (file_path, title, content_hash, metadata)
VALUES ('b.md', 'B', 'b1946ac9', '[}');
