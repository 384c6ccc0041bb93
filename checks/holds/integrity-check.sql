-- integrity_check
SELECT integrity_check AS finding
  FROM pragma_integrity_check
 WHERE integrity_check <> 'ok';
