-- The documents to embed, oldest first
-- index: idx_document_sync_status
SELECT id, file_path, content_hash
  FROM document_index
 WHERE sync_status = :sync_status AND sync_status IN ('pending', 'stale')   -- as the index says
 ORDER BY created_at
 LIMIT :limit;
