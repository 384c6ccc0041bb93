-- No table lacks the table that its foreign keys reference
-- SQLite refuses every write to such a table, with or without a value in the column.
SELECT child.name AS "table", k."from" AS "column", k."table" AS parent
  FROM pragma_table_list AS child, pragma_foreign_key_list(child.name) AS k
 WHERE child.schema = 'main' AND child.type = 'table'
   AND k."table" COLLATE NOCASE NOT IN (
       SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table');
