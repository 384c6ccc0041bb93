-- Documents with words in title or path, the best first of those of the newest 5,000
-- step: search
-- index: document_search
-- sorts: ranking takes a microsecond for each document, and a frequent word is in most of them
SELECT d.id, d.file_path, d.title, d.document_type, d.content_hash, d.chunk_count,
       d.embedding_model, d.metadata, d.last_synced_at, d.sync_status, d.created_at, d.updated_at,
       snippet(document_search, -1, '[', ']', '…', 12) AS snippet
  FROM (SELECT id, score
          FROM (SELECT rowid AS id, bm25(document_search, 2.0, 1.0) AS score
                  FROM document_search
                 WHERE document_search MATCH :words
                 ORDER BY rowid DESC
                 LIMIT 5000)
         ORDER BY score
         LIMIT :limit) AS best
 CROSS JOIN document_search
  JOIN document_index AS d ON d.id = best.id
 WHERE document_search MATCH :words AND document_search.rowid = best.id
 ORDER BY best.score;
