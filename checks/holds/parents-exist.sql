-- No table lacks the table that its foreign keys reference
-- of: declared
-- remedy: ask whoever made this table whether to make the table that is named, or to drop the column that references it (`sqlite3 $database .schema` shows both)
-- SQLite refuses every write to such a table, with or without a value in the column.
SELECT k."from" AS "column", k."table" AS parent
  FROM pragma_foreign_key_list(:table) AS k
 WHERE k."table" COLLATE NOCASE NOT IN (
       SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table');
