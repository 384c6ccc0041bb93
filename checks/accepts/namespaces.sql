-- Namespaces: rows that a sloppy prefix would catch or miss
-- tries: subtree
-- (The subtree queries of plans/ run for every subtree in these rows.)

CREATE TEMP VIEW namespaces AS
WITH kind(name) AS (VALUES ('project'), ('app'), ('user'), ('session'), ('temp')),
     tail(name) AS (VALUES
         ('alice'), ('alice:preferences'), ('alice:preferences:ui'),   -- a subtree
         ('alic'), ('alice2'), ('alice2:x'),                           -- the same beginning
         ('alice:'), ('alice::x'), ('ALICE'), ('Alice:x'),             -- empty parts, letter case
         ('alice/x'), ('alice9'), ('alice;'), ('alice;x'),             -- beside : in ASCII
         ('alice%'), ('alice%:x'), ('al_ce:x'), ('al?ce:x'), ('al*'),  -- wildcards
         ('älice'), ('älice:x'), ('alice:é'),                          -- not ASCII
         ('alice' || char(0x013A)),                                    -- below ; in UTF-16le
         ('alice:' || char(0x10FFFF)), ('alice' || char(0x10FFFF)))    -- the end of Unicode
SELECT kind.name || ':' || tail.name AS namespace FROM kind, tail;

INSERT INTO memory_entries (namespace, key, value, memory_type)
SELECT namespace, 'k', '{}', 'semantic' FROM namespaces;

INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)
VALUES ('t1', 'do', 'ready', '{}', '2026-01-01', '2026-01-01');
INSERT INTO audit (timestamp, task_id, action_type, memory_namespace)
SELECT '2026-01-01', 't1', 'read', namespace FROM namespaces;

SELECT 'a namespace got lost: ' || namespace FROM namespaces
 WHERE namespace NOT IN (SELECT namespace FROM memory_entries)
    OR namespace NOT IN (SELECT memory_namespace FROM audit);

DROP VIEW temp.namespaces;
