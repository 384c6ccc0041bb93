-- An embedded document of the next model, in the order of names
-- index: idx_document_embedding_model
SELECT embedding_model, length(embedding_blob) AS bytes
  FROM document_index
 WHERE embedding_model > :after AND embedding_blob IS NOT NULL
 ORDER BY embedding_model
 LIMIT 1;
