-- full-text search has every current memory and document
-- step: search
-- remedy: make the search anew: `sqlite3 $database 'DROP TABLE memory_search; DROP TABLE document_search'`, then `invoke search`
SELECT 'memory_search lacks memory ' || t.id || ' as it is now'
  FROM memory_texts AS t
 WHERE NOT EXISTS (SELECT 1
                     FROM memory_search AS s
                    WHERE s.rowid = t.id AND s.namespace IS t.namespace AND s.paths IS t.paths
                      AND s.key IS t.key AND s.strings IS t.strings);

-- A row whose memory is gone is not found, and does no harm.
SELECT 'memory_search has memory ' || m.id || ', which is not current'
  FROM memory_search AS s
  JOIN memory_entries AS m ON m.id = s.rowid
 WHERE NOT EXISTS (SELECT 1 FROM memory_texts AS t WHERE t.id = m.id);

SELECT 'document_search lacks document ' || d.id || ' as it is now'
  FROM document_index AS d
 WHERE NOT EXISTS (SELECT 1
                     FROM document_search AS s
                    WHERE s.rowid = d.id AND s.title IS d.title AND s.file_path IS d.file_path);
