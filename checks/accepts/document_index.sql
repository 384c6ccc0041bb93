-- document_index takes documents not yet embedded, fills in the defaults, knows four statuses

INSERT INTO document_index (file_path, title, content_hash) VALUES ('a.md', 'A', 'b1946ac9');
SELECT 'a default is wrong' FROM document_index
 WHERE (chunk_count, metadata, sync_status) IS NOT (1, '{}', 'pending')
    OR created_at IS NOT datetime(created_at) OR updated_at IS NOT created_at;

INSERT INTO document_index (file_path, title, content_hash, sync_status)
VALUES ('b.md', 'B', 'b1946ac9', 'pending'), ('c.md', 'C', 'b1946ac9', 'synced'),
       ('d.md', 'D', 'b1946ac9', 'failed'), ('e.md', 'E', 'b1946ac9', 'stale'),
       ('A.md', 'letter case counts', 'b1946ac9', NULL);
INSERT INTO document_index (file_path, title, content_hash, embedding_model, embedding_blob)
VALUES ('f.md', 'F', 'b1946ac9', 'm', zeroblob(768 * 4));
SELECT 'the embedding was changed' FROM document_index
 WHERE file_path = 'f.md'
   AND (typeof(embedding_blob), length(embedding_blob)) IS NOT ('blob', 768 * 4);
