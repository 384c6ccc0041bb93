-- Index the document at a path, new or changed
INSERT INTO document_index (file_path, title, document_type, content_hash, chunk_count, embedding_model,
                            embedding_blob, metadata, last_synced_at, sync_status)
VALUES (:file_path, :title, :document_type, :content_hash, :chunk_count, :embedding_model,
        :embedding_blob, :metadata, iif(:sync_status = 'synced', CURRENT_TIMESTAMP, :last_synced_at),
        :sync_status)
    ON CONFLICT (file_path) DO UPDATE
   SET title = excluded.title, document_type = excluded.document_type,
       content_hash = excluded.content_hash, chunk_count = excluded.chunk_count,
       embedding_model = excluded.embedding_model, embedding_blob = excluded.embedding_blob,
       metadata = excluded.metadata, last_synced_at = excluded.last_synced_at,
       sync_status = excluded.sync_status, updated_at = CURRENT_TIMESTAMP
RETURNING id, file_path, title, document_type, content_hash, chunk_count, embedding_model, metadata,
          last_synced_at, sync_status, created_at, updated_at;
