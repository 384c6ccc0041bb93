-- integrity_check
SELECT replace(integrity_check, '*** in database main ***' || char(10), '') AS finding
  FROM pragma_integrity_check
 WHERE integrity_check <> 'ok';
