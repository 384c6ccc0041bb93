"""The modules that tests import, and when to use which:

- a database built by the real tasks, and its reports: `bundle.Bundle` (fixtures `empty`, `bundle`)
- `invoke`, the script, a shell or `sqlite3` in a separate process: `commands`
- `invoke` on a terminal: `terminal.start_on_terminal`
- the HTML page, parsed and in a real browser: `pages`
- skipping where strace, root or mounts are missing; a disk of N bytes: `machine`
- `invoke plan`, and the plan compared with what `init` does: `upgrading`
- rows for the async `Database`: `inserts`; services on top of it: `services`
- Litestream beside a database, an S3 server, and who writes meanwhile: `litestream`
- rqlite nodes that start, are killed and come back: `rqlite.Cluster` (fixtures `cluster`,
  `own_cluster`, `on_cluster`), on free `ports`; a proxy before one of them, that loses answers:
  `proxy.between`
- documents with embeddings, and the plainest way to find the nearest: `embeddings`
- rows of any age, for the rules of `sql/retention/`: `retention.fill`

Older and drifted databases:

- a database of generation 1, 2 or 3, of any size, extended or with violations: `older.make`
- its schema and INSERTs: `older_applications`; the odd values in its rows: `older_rows`
- generation 4 and its application at work: `generation_4.running`, `generation_4_tables`
- an older application that keeps writing in another process: `writing_application`
- a table or an index that differs from the declared form: `another_form`
- any older database that SQLite accepts, by hypothesis: `random_schemas.older_databases`; its
  tables come from `random_tables`, its texts and values from `spellings`

Was anything lost?

- whether rows or files are unchanged, by hash: `fingerprints`
- everything SQLite reports about a database: `everything.everything`
- what `init` failed to keep: `kept.lost`; where two databases differ: `kept.differences`

Faults:

- commands to inject faults into, and their promises: `scenarios.SCENARIOS`, `operation_scenarios`;
  how these are checked: `promises.Scenario`
- a power loss at any system call: `disk.Disk`, on the model of unsynced files in `unsynced`
- a wrong, jumping or frozen system clock: `clock.variables`
- a failing system call in one `invoke`: the fixture `faulty`
"""
