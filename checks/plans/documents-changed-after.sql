-- The documents that changed after a change
-- step: search
-- index: sqlite_autoindex_document_changes_1
SELECT document_id
  FROM document_changes
 WHERE number > :number;
