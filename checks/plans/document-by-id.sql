-- One document, with its embedding
-- index: rowid
SELECT id, file_path, title, document_type, content_hash, chunk_count, embedding_model, metadata,
       last_synced_at, sync_status, created_at, updated_at,
       embedding_blob
  FROM document_index
 WHERE id = :id;
