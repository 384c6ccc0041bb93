-- foreign_key_check
-- counts: violations
-- unless: foreign keys hold
-- remedy: ask whoever owns the data whether to add the parent, set the column to NULL, or delete the row (`sqlite3 $database`)
-- own: what needs a collation of the application's own is left to it
SELECT v.rowid AS row,
       (SELECT group_concat(k."from") FROM pragma_foreign_key_list(:table) AS k
         WHERE k.id = v.fkid) AS "column",
       v.parent
  FROM pragma_foreign_key_check(:table) AS v
 ORDER BY v.rowid, v.fkid;
