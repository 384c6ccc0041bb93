-- The documents that changed lately
-- index: idx_document_updated
SELECT id, file_path, title, updated_at
  FROM document_index
 WHERE updated_at >= :since
 ORDER BY updated_at DESC
 LIMIT :limit;
