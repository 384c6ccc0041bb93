-- foreign_key_check
SELECT v."table", v.rowid AS row, group_concat(k."from") AS "column", v.parent
  FROM pragma_foreign_key_check AS v
  JOIN pragma_foreign_key_list(v."table") AS k ON k.id = v.fkid
 GROUP BY v."table", v.rowid, v.fkid
 ORDER BY v."table", v.rowid, v.fkid;
