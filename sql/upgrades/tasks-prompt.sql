-- A task's prompt was called template_name
-- step: core
-- has: tasks.template_name
-- lacks: tasks.prompt
ALTER TABLE tasks RENAME COLUMN template_name TO prompt;
