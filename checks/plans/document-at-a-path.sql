-- The document at a path
-- index: sqlite_autoindex_document_index_1
SELECT id, file_path, title, document_type, content_hash, chunk_count, embedding_model, metadata,
       last_synced_at, sync_status, created_at, updated_at
  FROM document_index
 WHERE file_path = :file_path;
