-- The documents of a type, newest first
-- index: idx_document_type_created
SELECT id, file_path, title, created_at
  FROM document_index
 WHERE document_type = :document_type
 ORDER BY created_at DESC
 LIMIT :limit;
