"""UNIQUE of the application on a column whose collation is not the declared one."""

import sqlite3
from contextlib import closing

import pytest

from tests.support.another_form import create
from tests.support.bundle import Bundle
from tests.support.commands import ROOT, Invoke
from tests.support.upgrading import planned_as_run

NOCASE = "TEXT NOT NULL COLLATE NOCASE"
METRIC = "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('t', '{}', {});"
FILE = "INSERT INTO document_index (file_path, title, content_hash) VALUES ('{}', 't', '{}');"
NAME = ("metrics", "metric_name  TEXT NOT NULL", f"metric_name {NOCASE}")
KEPT = {
    "of a column": (
        *(*NAME[:2], f"metric_name {NOCASE} CONSTRAINT own UNIQUE ON CONFLICT FAIL", ""),
        *(METRIC.format("cpu", 1), METRIC.format("CPU", 2), METRIC.format("ram", 1)),
    ),
    "of the table": (
        *(*NAME[:2], f"metric_name {NOCASE}", ", UNIQUE (metric_value, 'metric_name' DESC)"),
        *(METRIC.format("cpu", 1), METRIC.format("CPU", 1), METRIC.format("CPU", 2)),
    ),
    "an index": (
        *(*NAME, "); CREATE UNIQUE INDEX own ON metrics (metric_name DESC, abs(metric_value)"),
        *(METRIC.format("cpu", 1), METRIC.format("CPU", 1), METRIC.format("CPU", 2)),
    ),
    "an index on some rows": (
        *(*NAME, "); CREATE UNIQUE INDEX own ON metrics ((metric_name)) WHERE (metric_value > 1"),
        *(METRIC.format("cpu", 2), METRIC.format("CPU", 3), METRIC.format("CPU", 1)),
    ),
    "beside ours": (
        *("document_index", "TEXT NOT NULL UNIQUE", f"{NOCASE} UNIQUE", ""),
        *(FILE.format("a.md", "x"), FILE.format("A.md", "x"), FILE.format("b.md", "x")),
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_unique_compares_as_it_did(case: str, empty: Bundle, invoke: Invoke) -> None:
    table, old, new, more, first, alike, other = KEPT[case]
    sql = create(table, (old, new))
    end = sql.rindex(")")
    empty.sql(f"{sql[:end]}{more}{sql[end:]}; {first}")
    planned_as_run(empty, invoke)
    assert invoke("verify").returncode == 0
    assert empty.unchanged_by_init()
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE constraint failed"):
        empty.sql(alike)
    empty.sql(other)


def test_unique_that_a_foreign_key_needs_has_the_collation_of_its_column(empty: Bundle) -> None:
    table, old, new = NAME
    empty.sql(
        f"{create(table, (old, new))}; CREATE UNIQUE INDEX own ON metrics (metric_name);"
        f"CREATE TABLE child (name REFERENCES metrics (metric_name)); {METRIC.format('cpu', 1)}"
        "INSERT INTO child VALUES ('cpu')"
    )
    assert empty.run("init") == 0
    empty.sql("PRAGMA foreign_keys = ON; INSERT INTO child VALUES ('cpu')")


@pytest.mark.parametrize(
    "index",
    [
        "",
        pytest.param(
            "CREATE INDEX own ON agents(name);",
            marks=pytest.mark.skipif(
                sqlite3.sqlite_version_info < (3, 38), reason="RENAME stops at such an index"
            ),
        ),
    ],
)
def test_collation_of_the_application_on_a_column_goes_where_none_is_declared(
    index: str, empty: Bundle, invoke: Invoke
) -> None:
    text = (ROOT / "tests" / "generations" / "2.sql").read_text("utf-8")
    own = text.replace('"name" text not null,', '"name" text not null collate mine,', 1)
    with closing(sqlite3.connect(empty.path)) as application:
        application.create_collation("mine", lambda a, b: (a > b) - (a < b))
        application.executescript(
            f"{own};{index} INSERT INTO tasks (id, prompt, status, input_data, submitted_at) VALUES"
            " ('t', 'p', 'ready', '{}', '2024-03-01'); INSERT INTO agents (id, name,"
            " specialization, task_id, state, model, spawned_at)"
            " VALUES ('a', 'Otto', 's', 't', 'idle', 'm', '')"
        )
    planned_as_run(empty, invoke)
    assert invoke("verify").returncode == 0
    assert empty.rows("SELECT name FROM agents ORDER BY name") == [("Otto",)]
    assert empty.unchanged_by_init()


def test_what_depends_on_a_collation_that_goes_is_told(empty: Bundle, invoke: Invoke) -> None:
    name = f"metric_name {NOCASE} CHECK (metric_name <> 'no'), own AS (metric_name = 'CPU') STORED"
    empty.sql(
        f"{create('metrics', (NAME[1], name))};"
        "CREATE INDEX cpus ON metrics (metric_value) WHERE metric_name = 'CPU';"
        "CREATE INDEX low ON metrics (metric_value) WHERE metric_value < 1"
    )
    planned = invoke("plan")
    told = [line for line in planned.stdout.splitlines() if "otherwise" in line]
    assert told == [
        f"-- compares otherwise: {what} of table metrics: metric_name by BINARY, not NOCASE"
        for what in ("CHECK (metric_name <> 'no')", "column own", "index cpus")
    ]
    done = invoke("init")
    assert done.returncode == 0
    assert [line.strip().replace("note:", "--") for line in done.stderr.splitlines()] == told
    assert "otherwise" not in invoke("verify").stderr
