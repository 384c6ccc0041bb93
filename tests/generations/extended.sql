-- An application's own objects and columns. For generation 1, `prompt` becomes `template_name`.


-- Tables

CREATE TABLE app_users (id TEXT PRIMARY KEY, name TEXT COLLATE NOCASE);
INSERT INTO app_users VALUES ('u1', 'Zoë'), ('u2', NULL);

CREATE TABLE app_notes (
    id      INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL REFERENCES tasks(id) ON DELETE CASCADE ON UPDATE CASCADE,
    note    TEXT
);
INSERT INTO app_notes (task_id, note)
    SELECT id, 'about ' || status FROM tasks WHERE id IS NOT NULL ORDER BY rowid LIMIT 20;

CREATE TABLE app_costs (
    task_id TEXT PRIMARY KEY REFERENCES tasks(id),
    euros   REAL
) WITHOUT ROWID;
INSERT INTO app_costs SELECT id, rowid * 0.1 FROM tasks WHERE id IS NOT NULL ORDER BY id LIMIT 20;

CREATE TABLE app_log (at INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT, which TEXT);


-- Columns that ALTER TABLE can add; support/older.py has the columns of tasks that it cannot

ALTER TABLE tasks ADD COLUMN label TEXT NOT NULL DEFAULT 'it''s (none), yet' COLLATE NOCASE;
ALTER TABLE tasks ADD COLUMN "order by" VARCHAR(80) CHECK (length("order by") < 80);
ALTER TABLE tasks ADD COLUMN [naïve, (odd]  DECIMAL(10, 2) DEFAULT -1.50;
ALTER TABLE tasks ADD COLUMN `a"b'c` BLOB DEFAULT x'00ff';
ALTER TABLE tasks ADD COLUMN untyped;
ALTER TABLE tasks ADD COLUMN prompt_length INTEGER GENERATED ALWAYS AS (length(prompt)) VIRTUAL;
ALTER TABLE audit ADD COLUMN trace_id TEXT COLLATE RTRIM /* of the request, -- not of ours */;
ALTER TABLE audit ADD COLUMN size INT AS (length(action_data));
ALTER TABLE agents ADD COLUMN host TEXT DEFAULT 'localhost';
ALTER TABLE metrics ADD COLUMN unit TEXT CHECK (unit IN ('ms', 'bytes', ')', '--', '('));
ALTER TABLE state ADD COLUMN "group" DOUBLE PRECISION DEFAULT 0.0;
ALTER TABLE checkpoints ADD COLUMN is_final BOOLEAN DEFAULT FALSE;

UPDATE tasks SET label = CASE rowid % 3 WHEN 0 THEN 'Alpha' WHEN 1 THEN 'ALPHA' ELSE label END;
UPDATE tasks SET "order by" = 'é' || char(0) || rowid, untyped = CAST(rowid AS TEXT)
    WHERE rowid % 2;
UPDATE tasks SET untyped = rowid * 0.1, [naïve, (odd] = rowid, `a"b'c` = CAST(rowid AS BLOB)
    WHERE rowid % 5 = 0;
UPDATE audit SET trace_id = 'trace' || (id % 7) WHERE id % 2;
UPDATE metrics SET unit = 'ms' WHERE id % 2;


-- Indexes

CREATE INDEX app_tasks_label ON tasks(label DESC, "order by") WHERE "order by" IS NOT NULL;
CREATE INDEX "app tasks; lower" ON tasks(lower(prompt), priority + 1);
CREATE INDEX app_tasks_status ON tasks(status COLLATE NOCASE);
CREATE UNIQUE INDEX app_tasks_unique ON tasks(id, created_by);
CREATE INDEX app_tasks_length ON tasks(prompt_length);
CREATE INDEX app_audit_trace ON audit(trace_id, timestamp DESC) WHERE trace_id > '';


-- Triggers

CREATE TRIGGER app_tasks_added AFTER INSERT ON tasks BEGIN
    INSERT INTO app_log (what, which) VALUES ('added; ' || new.prompt, new.id);
END;
CREATE TRIGGER app_tasks_changed AFTER UPDATE ON tasks WHEN old.status IS NOT NULL BEGIN
    INSERT INTO app_log (what, which) VALUES ('changed', new.id);
END;
CREATE TRIGGER "app_tasks renamed" AFTER UPDATE OF prompt ON tasks BEGIN
    UPDATE app_notes SET note = new.prompt WHERE task_id = new.id;
END;
CREATE TRIGGER app_tasks_removed BEFORE DELETE ON tasks BEGIN
    INSERT INTO app_log (what, which) SELECT 'removed', old.id;
END;
CREATE TRIGGER app_audit_added AFTER INSERT ON audit WHEN new.agent_id IS NOT NULL BEGIN
    INSERT INTO app_log (what, which)
        SELECT status, new.id FROM tasks WHERE id = new.task_id AND prompt IS NOT NULL;
END;
CREATE TRIGGER app_notes_added AFTER INSERT ON app_notes BEGIN
    UPDATE app_notes SET note = (SELECT prompt FROM tasks WHERE tasks.id = new.task_id)
        WHERE id = new.id AND note IS NULL;
END;


-- Views

CREATE VIEW app_all AS SELECT * FROM tasks;
CREATE VIEW app_work AS
    SELECT t.id, t.prompt AS what, a.name, count(u.id) AS events
    FROM tasks AS t LEFT JOIN agents AS a ON a.task_id = t.id LEFT JOIN audit AS u USING (task_id)
    GROUP BY t.id, a.id;
CREATE VIEW app_busy (id, what) AS SELECT id, what FROM app_work WHERE events > 1;
CREATE VIEW "app; first" AS
    WITH first AS (SELECT min(rowid) AS at FROM tasks) SELECT prompt FROM tasks, first
    WHERE tasks.rowid = at;
CREATE TRIGGER app_all_added INSTEAD OF INSERT ON app_all BEGIN
    INSERT INTO app_log (what, which) VALUES (new.status, new.id);
END;
