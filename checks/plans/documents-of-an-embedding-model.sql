-- The documents that one model embedded before a time
-- index: idx_document_embedding_model
SELECT id, file_path, last_synced_at
  FROM document_index
 WHERE embedding_model = :embedding_model AND last_synced_at < :before
 ORDER BY last_synced_at
 LIMIT :limit;
