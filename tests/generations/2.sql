/* Generation 2: run once, while PRAGMA user_version is below 2. */

create table "tasks" (
  "id" text primary key,
  "prompt" text not null,
  "agent_type" text not null default 'general',
  "priority" integer not null default 5,
  "status" text not null,
  "input_data" text not null,          -- json
  "result_data" text,                  -- json
  "error_message" text,
  "retry_count" integer default 0,
  "max_retries" integer default 3,
  "submitted_at" timestamp not null,
  "started_at" timestamp,
  "completed_at" timestamp,
  "created_by" text,
  "parent_task_id" text references "tasks" ("id"),
  "dependencies" text
);
create table "agents" (
  "id" text primary key,
  "name" text not null,
  "specialization" text not null,
  "task_id" text not null references "tasks" ("id"),
  "state" text not null,
  "model" text not null,
  "spawned_at" timestamp not null,
  "terminated_at" timestamp,
  "resource_usage" text
);
create table "state" (
  "id" integer primary key autoincrement,
  "task_id" text not null references "tasks" ("id"),
  "key" text not null,
  "value" text not null,
  "created_at" timestamp not null,
  "updated_at" timestamp not null,
  unique ("task_id", "key")
);
create table "audit" (
  "id" integer primary key autoincrement,
  "timestamp" timestamp not null,
  "agent_id" text references "agents" ("id"),
  "task_id" text not null references "tasks" ("id"),
  "action_type" text not null,
  "action_data" text,
  "result" text
);
create table "metrics" (
  "id" integer primary key autoincrement,
  "timestamp" timestamp not null,
  "metric_name" text not null,
  "metric_value" real not null check ("metric_value" >= 0),
  "labels" text
);
create table "checkpoints" (
  "task_id" text not null references "tasks" ("id"),
  "iteration" integer not null,
  "state" text not null,
  "created_at" timestamp not null,
  primary key ("task_id", "iteration")
);

create index "idx_tasks_status_priority" on "tasks" ("status", "priority" desc, "submitted_at");
create index "idx_tasks_submitted_at" on "tasks" ("submitted_at");
create index "idx_tasks_parent" on "tasks" ("parent_task_id");
create index "idx_agents_task" on "agents" ("task_id");
create index "idx_agents_state" on "agents" ("state");
create index "idx_state_task_key" on "state" ("task_id", "key");
create index "idx_audit_task" on "audit" ("task_id", "timestamp" desc);
create index "idx_audit_agent" on "audit" ("agent_id", "timestamp" desc);
create index "idx_audit_timestamp" on "audit" ("timestamp" desc);
create index "idx_metrics_name_timestamp" on "metrics" ("metric_name", "timestamp" desc);
create index "idx_checkpoints_task" on "checkpoints" ("task_id", "iteration" desc);
create index "idx_checkpoints_created_at" on "checkpoints" ("created_at");

pragma user_version = 2;
