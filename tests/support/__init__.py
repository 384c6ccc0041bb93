"""What tests use, and which to use when:

- a database made by the real tasks, and its reports: `bundle.Bundle` (fixtures `empty`, `bundle`)
- `invoke`, the script, a shell or `sqlite3` in a process of its own: `commands`
- `invoke` on a terminal: `terminal.start_on_terminal`
- skip where strace, root or a mount is missing; a disk of N bytes: `machine`
- `invoke plan`, then the plan and `init` run beside each other: `upgrading`
- rows for the async `Database`: `inserts`; services on top of it: `services`

Older and drifted databases:

- a database of generation 1, 2 or 3, of any size, extended or with violations: `older.make`
- its schema and its INSERTs: `older_applications`; the odd values in its rows: `older_rows`
- generation 4 and its application at work: `generation_4.running`, `generation_4_tables`
- an older application that keeps writing in another process: `writing_application`
- a table or an index in another form than declared: `another_form`
- any older database that SQLite accepts, by hypothesis: `random_schemas.older_databases`; its
  tables come from `random_tables`, its texts and values from `spellings`

Was anything lost?

- the same rows or files as before, by hash: `fingerprints`
- everything SQLite can say about a database: `everything.everything`
- what `init` failed to keep of it: `kept.lost`; where two databases differ: `kept.differences`

Faults:

- a command with its promises, to inject faults into: `scenarios.SCENARIOS`; how they are checked:
  `promises.Scenario`
- a power loss at any system call: `disk.Disk`, on the model of unsynced files in `unsynced`
- a wrong, jumping or frozen system clock: `clock.variables`
- a failing system call in one `invoke`: the fixture `faulty`
"""
