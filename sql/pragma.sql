-- The settings of every connection. Only journal_mode is kept in the file; SQLite forgets the other
-- four when a connection closes, so they are run on each one that is opened.

PRAGMA busy_timeout = 5000;         -- milliseconds to wait for another's lock before giving up
PRAGMA journal_mode = WAL;          -- readers and the one writer do not wait for each other
PRAGMA synchronous = NORMAL;        -- with WAL safe against corruption, and few syncs
PRAGMA foreign_keys = ON;           -- off by default, and then references are only words
PRAGMA wal_autocheckpoint = 1000;   -- pages in the WAL before they are moved into the database
