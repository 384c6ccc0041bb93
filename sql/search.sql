-- Full-text search over current memories and documents (SQLite documentation, "SQLite FTS5
-- Extension"). An optional step: `invoke search` chooses it, because its triggers make writing slower.

-- The text of every current memory: the last version of each, unless it was forgotten. `paths` has a
-- word for its namespace and for each one above it, of hexadecimal digits: no text has such words.
CREATE VIEW memory_texts AS
SELECT m.id, m.namespace,
       (SELECT group_concat(path, ' ')
          FROM (SELECT group_concat('x' || hex(atom), '') OVER (ORDER BY key) AS path
                  FROM json_each('[' || replace(json_quote(m.namespace), ':', '","') || ']'))) AS paths,
       m.key,
       (SELECT group_concat(atom, ' ') FROM json_tree(m.value) WHERE type = 'text') AS strings
  FROM memory_entries AS m
 WHERE m.is_deleted = 0
   AND NOT EXISTS (SELECT 1
                     FROM memory_entries AS later
                    WHERE later.namespace = m.namespace AND later.key = m.key
                      AND later.version > m.version AND later.is_deleted = 0);

-- What is remembered: found by key and by the strings in value, below a namespace by its path.
CREATE VIRTUAL TABLE memory_search USING fts5(namespace UNINDEXED, paths, key, strings);
INSERT INTO memory_search (rowid, namespace, paths, key, strings)
SELECT id, namespace, paths, key, strings FROM memory_texts;

-- A new version takes the place of the one before it. Under its id there may have been another memory
-- (INSERT OR REPLACE deletes without a trigger): the version before that is current again.
CREATE TRIGGER memory_search_insert AFTER INSERT ON memory_entries
BEGIN
    INSERT INTO memory_search (rowid, namespace, paths, key, strings)
    SELECT id, namespace, paths, key, strings
      FROM memory_texts
     WHERE id = (SELECT m.id
                   FROM memory_search AS replaced
                   JOIN memory_entries AS m ON m.namespace = replaced.namespace
                                           AND m.key = replaced.key AND m.is_deleted = 0
                  WHERE replaced.rowid = new.id
                  ORDER BY m.version DESC LIMIT 1)
       AND NOT EXISTS (SELECT 1 FROM memory_search WHERE rowid = memory_texts.id);
    DELETE FROM memory_search WHERE rowid = new.id;
    DELETE FROM memory_search
     WHERE rowid = (SELECT id FROM memory_entries
                     WHERE namespace = new.namespace AND key = new.key AND is_deleted = 0
                       AND version < new.version AND new.is_deleted = 0
                     ORDER BY version DESC LIMIT 1);
    INSERT INTO memory_search (rowid, namespace, paths, key, strings)
    SELECT id, namespace, paths, key, strings
      FROM memory_texts
     WHERE id = (SELECT id FROM memory_entries
                  WHERE namespace = new.namespace AND key = new.key AND is_deleted = 0
                  ORDER BY version DESC LIMIT 1)
       AND NOT EXISTS (SELECT 1 FROM memory_search WHERE rowid = memory_texts.id);
END;

-- The version before a deleted one is current again.
CREATE TRIGGER memory_search_delete AFTER DELETE ON memory_entries WHEN old.is_deleted = 0
BEGIN
    DELETE FROM memory_search WHERE rowid = old.id;
    INSERT INTO memory_search (rowid, namespace, paths, key, strings)
    SELECT id, namespace, paths, key, strings
      FROM memory_texts
     WHERE id = (SELECT id FROM memory_entries
                  WHERE namespace = old.namespace AND key = old.key AND is_deleted = 0
                  ORDER BY version DESC LIMIT 1)
       AND NOT EXISTS (SELECT 1 FROM memory_search WHERE rowid = memory_texts.id);
END;

-- What is changed, forgotten or moved: both the memory that it was and the one that it is.
CREATE TRIGGER memory_search_update
AFTER UPDATE OF id, namespace, key, value, version, is_deleted ON memory_entries
WHEN (old.id, old.namespace, old.key, old.value, old.version, old.is_deleted)
  IS NOT (new.id, new.namespace, new.key, new.value, new.version, new.is_deleted)
BEGIN
    INSERT INTO memory_search (rowid, namespace, paths, key, strings)
    SELECT id, namespace, paths, key, strings
      FROM memory_texts
     WHERE id = (SELECT m.id
                   FROM memory_search AS replaced
                   JOIN memory_entries AS m ON m.namespace = replaced.namespace
                                           AND m.key = replaced.key AND m.is_deleted = 0
                  WHERE replaced.rowid = new.id AND new.id <> old.id
                  ORDER BY m.version DESC LIMIT 1)
       AND NOT EXISTS (SELECT 1 FROM memory_search WHERE rowid = memory_texts.id);
    DELETE FROM memory_search WHERE rowid = old.id;
    DELETE FROM memory_search WHERE rowid = new.id;
    DELETE FROM memory_search
     WHERE rowid = (SELECT id FROM memory_entries
                     WHERE namespace = new.namespace AND key = new.key AND is_deleted = 0
                       AND version < new.version AND new.is_deleted = 0
                     ORDER BY version DESC LIMIT 1);
    INSERT INTO memory_search (rowid, namespace, paths, key, strings)
    SELECT id, namespace, paths, key, strings
      FROM memory_texts
     WHERE id IN ((SELECT id FROM memory_entries
                    WHERE namespace = old.namespace AND key = old.key AND is_deleted = 0
                    ORDER BY version DESC LIMIT 1),
                  (SELECT id FROM memory_entries
                    WHERE namespace = new.namespace AND key = new.key AND is_deleted = 0
                    ORDER BY version DESC LIMIT 1))
       AND NOT EXISTS (SELECT 1 FROM memory_search WHERE rowid = memory_texts.id);
END;

-- Which documents have changed, each with the number of its last change, larger than all before:
-- what an application keeps in memory of their embeddings it brings up to date by this. The row of
-- a document that was deleted stays.
CREATE TABLE document_changes (
    document_id INTEGER PRIMARY KEY,
    number      INTEGER NOT NULL UNIQUE
);

-- Documents: found by the words of title and path.
CREATE VIRTUAL TABLE document_search USING fts5(title, file_path);
INSERT INTO document_search (rowid, title, file_path)
SELECT id, title, file_path FROM document_index;

CREATE TRIGGER document_search_insert AFTER INSERT ON document_index
BEGIN
    DELETE FROM document_search WHERE rowid = new.id;
    INSERT INTO document_search (rowid, title, file_path) VALUES (new.id, new.title, new.file_path);
END;

CREATE TRIGGER document_search_delete AFTER DELETE ON document_index
BEGIN
    DELETE FROM document_search WHERE rowid = old.id;
END;

CREATE TRIGGER document_search_update AFTER UPDATE OF id, title, file_path ON document_index
WHEN (old.id, old.title, old.file_path) IS NOT (new.id, new.title, new.file_path)
BEGIN
    DELETE FROM document_search WHERE rowid = old.id;
    DELETE FROM document_search WHERE rowid = new.id;
    INSERT INTO document_search (rowid, title, file_path) VALUES (new.id, new.title, new.file_path);
END;

-- The changes of what embeddings are compared by.
CREATE TRIGGER document_changes_insert AFTER INSERT ON document_index
BEGIN
    UPDATE document_changes SET number = (SELECT max(number) + 1 FROM document_changes)
     WHERE document_id = new.id;
    INSERT INTO document_changes (document_id, number)
    SELECT new.id, 1 + coalesce((SELECT max(number) FROM document_changes), 0)
     WHERE NOT EXISTS (SELECT 1 FROM document_changes WHERE document_id = new.id);
END;

CREATE TRIGGER document_changes_delete AFTER DELETE ON document_index
BEGIN
    UPDATE document_changes SET number = (SELECT max(number) + 1 FROM document_changes)
     WHERE document_id = old.id;
    INSERT INTO document_changes (document_id, number)
    SELECT old.id, 1 + coalesce((SELECT max(number) FROM document_changes), 0)
     WHERE NOT EXISTS (SELECT 1 FROM document_changes WHERE document_id = old.id);
END;

CREATE TRIGGER document_changes_update
AFTER UPDATE OF id, document_type, embedding_model, embedding_blob ON document_index
BEGIN
    UPDATE document_changes SET number = (SELECT max(number) + 1 FROM document_changes)
     WHERE document_id = old.id;
    INSERT INTO document_changes (document_id, number)
    SELECT old.id, 1 + coalesce((SELECT max(number) FROM document_changes), 0)
     WHERE NOT EXISTS (SELECT 1 FROM document_changes WHERE document_id = old.id);
    UPDATE document_changes SET number = (SELECT max(number) + 1 FROM document_changes)
     WHERE document_id = new.id;
    INSERT INTO document_changes (document_id, number)
    SELECT new.id, 1 + coalesce((SELECT max(number) FROM document_changes), 0)
     WHERE NOT EXISTS (SELECT 1 FROM document_changes WHERE document_id = new.id);
END;
