-- Documents with words in title or path, the best first
-- step: search
-- index: document_search
SELECT d.id, d.file_path, d.title, d.document_type, d.content_hash, d.chunk_count,
       d.embedding_model, d.metadata, d.last_synced_at, d.sync_status, d.created_at, d.updated_at,
       snippet(document_search, -1, '[', ']', '…', 12) AS snippet
  FROM document_search
  JOIN document_index AS d ON d.id = document_search.rowid
 WHERE document_search MATCH :words AND rank MATCH 'bm25(2.0, 1.0)'
 ORDER BY rank
 LIMIT :limit;
