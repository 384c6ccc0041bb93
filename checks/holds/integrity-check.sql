-- integrity_check
-- each: in table :table or an index of it:
-- remedy: where only an index is wrong, `sqlite3 $database REINDEX`; otherwise ask its owner whether to put a kept state back (`invoke restore` lists them) or to save what can be read (`sqlite3 $database .recover > recovered.sql`; a sqlite3 that answers SQL logic error has only .dump)
-- needs: file
-- own: what needs a function or collation of the application's own is left to it
-- The whole-file check in two parts, which is several times faster. What only each table can tell:
-- its rows are in all its indexes, its constraints hold, its own pages are sound.
SELECT replace(integrity_check, '*** in database main ***' || char(10), '')
  FROM pragma_integrity_check(:table)
 WHERE integrity_check <> 'ok';

-- What only the whole file can tell: no page has two owners, none has no owner, the free list.
SELECT replace(quick_check, '*** in database main ***' || char(10), '')
  FROM pragma_quick_check
 WHERE quick_check <> 'ok';
