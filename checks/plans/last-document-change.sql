-- The number of the last change to a document
-- step: search
-- index: sqlite_autoindex_document_changes_1
SELECT max(number) FROM document_changes;
