-- The same content at another path
-- index: idx_document_content_hash
SELECT id, file_path
  FROM document_index
 WHERE content_hash = :content_hash;
