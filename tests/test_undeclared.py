"""What an application added is reported as information, and never as a fault."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from abathur_schema.declared.declaration import declared
from abathur_schema.schema import undeclared
from abathur_schema.schema.model import Index
from abathur_schema.schema.reading import read_schema
from abathur_schema.schema.usability import may_be_unusable, unusable
from tests.support.another_form import remake
from tests.support.bundle import Bundle


def test_what_only_its_application_can_prove_is_no_fault(bundle: Bundle, capsys: Any) -> None:
    connection = sqlite3.connect(bundle.path, isolation_level=None)
    connection.create_function("mine", 1, str, deterministic=True)
    connection.execute("CREATE INDEX by_mine ON tasks(mine(prompt))")
    connection.create_collation("icu_de", lambda a, b: (a > b) - (a < b))
    connection.execute("CREATE TABLE people (name TEXT COLLATE icu_de UNIQUE)")
    connection.close()
    assert bundle.run("verify") == 0
    shown = capsys.readouterr().out
    assert "integrity_check of people: no such collation sequence: icu_de" in shown
    assert "integrity_check of tasks: " in shown


def test_damage_beside_what_only_its_application_can_prove_is_found(bundle: Bundle) -> None:
    connection = sqlite3.connect(bundle.path, isolation_level=None)
    connection.create_collation("icu_de", lambda a, b: (a > b) - (a < b))
    connection.execute("CREATE TABLE people (name TEXT COLLATE icu_de UNIQUE)")
    connection.execute("INSERT INTO people VALUES ('a')")
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'people'"
    ).fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(bundle.path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    bundle.path.write_bytes(content)
    assert bundle.run("verify") == 1
    assert "integrity_check" in bundle.failed()


NOT_OURS = {
    "a table": ("CREATE TABLE mine (x)", "table mine"),
    "a virtual table, without its shadow tables": (
        "CREATE VIRTUAL TABLE words USING fts5(word)",
        "virtual table words",
    ),
    "a column": ("ALTER TABLE tasks ADD COLUMN colour TEXT", "column tasks.colour"),
    "a generated column": (
        "ALTER TABLE tasks ADD COLUMN size INTEGER AS (length(prompt))",
        "column tasks.size",
    ),
    "a table whose module is missing": (
        "CREATE TABLE t (x); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 0,"
        " sql = 'CREATE VIRTUAL TABLE t USING vec0(x)' WHERE name = 't'",
        "virtual table t",
    ),
    "a column with a collation": (
        "ALTER TABLE tasks ADD COLUMN colour TEXT COLLATE NOCASE",
        "column tasks.colour",
    ),
    "an index on JSON": (
        "CREATE INDEX mine ON tasks(json_extract(input_data, '$.a'))",
        "index mine on tasks(an expression)",
    ),
    "an index": (
        "CREATE INDEX mine ON tasks(created_by, priority)",
        "index mine on tasks(created_by, priority)",
    ),
    "an index on an expression": (
        "CREATE INDEX mine ON tasks(lower(prompt))",
        "index mine on tasks(an expression)",
    ),
    "a trigger": (
        "CREATE TRIGGER mine AFTER INSERT ON tasks BEGIN SELECT 1; END",
        "trigger mine on tasks",
    ),
    "a trigger that refuses rows": (
        "CREATE TRIGGER mine BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'never'); END",
        "trigger mine on audit",
    ),
    "a view": ("CREATE VIEW mine AS SELECT * FROM tasks", "view mine"),
    "a column without a name": ('CREATE TABLE mine (a, "" UNIQUE)', "table mine"),
    "odd names": (
        'CREATE TABLE "my ""own"" table; --" ("ключ [1]" TEXT UNIQUE, `select` BLOB)',
        'table my "own" table; --',
    ),
}


@pytest.mark.parametrize("case", NOT_OURS)
def test_what_is_not_declared_is_information(bundle: Bundle, case: str) -> None:
    script, line = NOT_OURS[case]
    bundle.sql(script)
    assert bundle.run("verify") == 0
    (found,) = (one for one in bundle.report()["checks"] if one["name"] == "not managed here")
    assert (found["status"], found["findings"]) == ("info", [line])
    assert bundle.run("init") == 0


REDUNDANT = {
    "a UNIQUE": (
        "CREATE INDEX mine ON state(task_id, key)",
        "index mine is not needed: UNIQUE (task_id, key) begins with the same columns",
    ),
    "a PRIMARY KEY": (
        "CREATE INDEX mine ON checkpoints(task_id, iteration DESC)",
        "index mine is not needed: PRIMARY KEY (task_id, iteration) begins with the same columns",
    ),
    "the rowid": (
        "CREATE INDEX mine ON audit(id, timestamp)",
        "index mine is not needed: id is the rowid, by which the table is stored",
    ),
    "a declared index": (
        "CREATE INDEX mine ON tasks(status)",
        "index mine is not needed: index idx_tasks_status_priority begins with the same columns",
    ),
    "a declared index in the same rows": (
        "CREATE INDEX mine ON tasks(session_id) WHERE (Session_ID is not null)",
        "index mine is not needed: index idx_tasks_session begins with the same columns",
    ),
    "only some of its rows": ("CREATE INDEX mine ON tasks(status) WHERE status = 'new'", None),
    "an index of other rows": ("CREATE INDEX mine ON memory_entries(memory_type)", None),
    "a constraint of its own": ("CREATE UNIQUE INDEX mine ON agents(task_id, name)", None),
}


@pytest.mark.parametrize("case", REDUNDANT)
def test_redundant_index_is_told_with_the_reason(bundle: Bundle, case: str) -> None:
    script, reason = REDUNDANT[case]
    bundle.sql(script)
    bundle.run("verify")
    (found,) = (one for one in bundle.report()["checks"] if one["name"] == "redundant indexes")
    assert found["findings"] == ([reason] if reason else [])


MANY = {"equal": ("(a)", 799), "of other rows each": ("(a) WHERE b > {}", 0)}


@pytest.mark.parametrize("case", MANY)
def test_many_indexes_are_not_each_compared_with_each(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, number = MANY[case]
    covers, compared = undeclared._covers, []

    def counted(other: Index, index: Index) -> bool:
        compared.append(index.name)
        return covers(other, index)

    monkeypatch.setattr(undeclared, "_covers", counted)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        for n in range(800):
            connection.execute(f"CREATE INDEX i{n} ON t {form.format(n)}")
        schema = read_schema(connection)
    assert len(undeclared.redundant(schema, schema.indexes)) == number
    assert len(compared) <= 800


def test_index_of_the_application_that_serves_better_is_no_fault(bundle: Bundle) -> None:
    bundle.sql(
        "CREATE INDEX mine ON agents(state, id, name, specialization, task_id);"
        "INSERT INTO sessions (id, app_name, user_id) VALUES ('s', 'chat', 'alice'); ANALYZE"
    )
    assert bundle.run("verify") == 0
    checks = {check["name"]: check for check in bundle.report()["checks"]}
    here = checks["plans with the indexes and statistics here"]
    assert here["status"] == "info"
    assert any("idle" in finding and "mine" in finding for finding in here["findings"])


UNDECLARED = {
    "a unique index": "CREATE UNIQUE INDEX mine ON agents(name)",
    "a trigger": "CREATE TRIGGER mine BEFORE INSERT ON tasks BEGIN SELECT raise(ABORT, 'no'); END",
    "a table without parent": "CREATE TABLE mine (a REFERENCES gone(x))",
    "a CHECK": "CHECK (length(name) > 9)",
    "a UNIQUE": "UNIQUE (specialization)",
    "a column that every row needs": "mine TEXT NOT NULL",
    "a foreign key": "FOREIGN KEY (model) REFERENCES models(id)",
}


NO_KEY = {
    "without UNIQUE": "CREATE TABLE pa (a); CREATE TABLE ch (a REFERENCES pa (a))",
    "without a key": "CREATE TABLE pa (a); CREATE TABLE ch (a REFERENCES pa)",
    "of two columns": (
        "CREATE TABLE pa (a, b, PRIMARY KEY (a, b)); CREATE TABLE ch (a REFERENCES pa)"
    ),
    "unique in some rows": (
        "CREATE TABLE pa (a); CREATE UNIQUE INDEX u ON pa (a) WHERE a > 1;"
        " CREATE TABLE ch (a REFERENCES pa (a))"
    ),
    "by another collation": (
        "CREATE TABLE pa (a COLLATE NOCASE, UNIQUE (a COLLATE BINARY));"
        " CREATE TABLE ch (a REFERENCES pa (a))"
    ),
    "that does not exist": "CREATE TABLE pa (a UNIQUE); CREATE TABLE ch (a REFERENCES pa (b))",
    "of a view": "CREATE VIEW pa AS SELECT 1 AS a; CREATE TABLE ch (a REFERENCES pa (a))",
    "of ours": "CREATE TABLE ch (a REFERENCES tasks (prompt))",
}
MISMATCH = 'foreign key mismatch - "ch" referencing "{}"'


@pytest.mark.parametrize("case", NO_KEY)
def test_table_that_references_no_key_is_information(case: str, bundle: Bundle) -> None:
    bundle.sql(NO_KEY[case])
    assert bundle.run("init") == 0
    told = {check["name"]: check["findings"] for check in bundle.report()["checks"]}
    mismatch = MISMATCH.format("tasks" if case == "of ours" else "pa")
    assert f"INSERT into table ch: {mismatch}" in told["does not work"]
    assert told["only the application can prove"] == [f"foreign_key_check of ch: {mismatch}"]
    refused = [line for line in told["does not work"] if line.startswith("DELETE from table tasks")]
    assert len(refused) == (case == "of ours")


KEYS = {
    "of two columns in another order": (
        "CREATE TABLE pa (a, b, UNIQUE (b, a));"
        "CREATE TABLE ch (a, b, FOREIGN KEY (a, b) REFERENCES pa (a, b))"
    ),
    "by the collation of the column": (
        "CREATE TABLE pa (a COLLATE NOCASE UNIQUE); CREATE TABLE ch (a REFERENCES PA (A))"
    ),
    "of a table without rowid": (
        "CREATE TABLE pa (a INTEGER PRIMARY KEY) WITHOUT ROWID; CREATE TABLE ch (a REFERENCES pa)"
    ),
    "the rowid": "CREATE TABLE pa (a INTEGER PRIMARY KEY); CREATE TABLE ch (a REFERENCES pa)",
}


@pytest.mark.parametrize("case", [*NO_KEY, *KEYS])
def test_foreign_key_to_no_key_is_seen_at_a_glance(case: str) -> None:
    script = NO_KEY.get(case) or KEYS[case]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(f"CREATE TABLE tasks (prompt); {script}")
        schema = read_schema(connection)
    assert may_be_unusable(schema) == (case in NO_KEY)
    assert ("DELETE from table ch" in unusable(schema)) == (case in NO_KEY)


@pytest.mark.parametrize("own", UNDECLARED)
def test_what_is_not_declared_fails_no_check(own: str, bundle: Bundle) -> None:
    sql = UNDECLARED[own]
    if not sql.startswith("CREATE"):
        text = declared().schema.tables["agents"].sql
        end = text.rindex("SET NULL") + len("SET NULL")
        creates = [text for text in declared().creates.values() if " ON agents" in text]
        sql = ";".join(
            ["DROP TABLE agents; CREATE TABLE models (id PRIMARY KEY)", f"{text[:end]}, {sql})"]
            + [create.rstrip(";") for create in creates]
        )
    bundle.sql(sql)
    assert bundle.run("init") == 0
    assert bundle.run("verify") == 0


KEY = "UNIQUE (task_id, key)"
COLLATED = {
    "beside ours": ("state", KEY, f"{KEY}, UNIQUE (task_id, key COLLATE NOCASE)"),
    "in place of ours": ("state", KEY, "UNIQUE (task_id, key COLLATE NOCASE)"),
    "that replaces rows": (
        "state",
        KEY,
        f"{KEY}, UNIQUE (task_id, key COLLATE NOCASE) ON CONFLICT REPLACE",
    ),
    "beside that of a column": (
        "document_index",
        "updated_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP",
        "updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,"
        " UNIQUE (file_path COLLATE NOCASE)",
    ),
}


@pytest.mark.parametrize("case", COLLATED)
def test_unique_with_another_collation_is_not_declared(case: str, bundle: Bundle) -> None:
    table, old, new = COLLATED[case]
    remake(bundle, table, lambda sql: sql.replace(old, new))
    assert bundle.run("init") == 0
    checks = {check["name"]: check["findings"] for check in bundle.report()["checks"]}
    (found,) = checks["not managed here"]
    assert found.endswith(f"collate nocase) of table {table}")
    assert bundle.unchanged_by_init()


def test_foreign_key_of_the_application_needs_no_index(bundle: Bundle) -> None:
    bundle.sql(
        "CREATE TABLE teams (id TEXT PRIMARY KEY);"
        "ALTER TABLE tasks ADD COLUMN team TEXT REFERENCES teams(id);"
        "CREATE TABLE members (team TEXT REFERENCES teams(id))"
    )
    assert bundle.run("verify") == 0
