-- foreign_key_check
-- counts: violations
SELECT v."table", v.rowid AS row,
       (SELECT group_concat(k."from") FROM pragma_foreign_key_list(v."table") AS k
         WHERE k.id = v.fkid) AS "column",
       v.parent
  FROM pragma_foreign_key_check AS v
 ORDER BY v."table", v.rowid, v.fkid;
