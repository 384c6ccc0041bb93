"""The rules of `sql/retention/`: how they find their rows, and rules of one's own."""

import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from abathur_schema.declared.declaration import declared
from abathur_schema.declared.retention import read_rules
from abathur_schema.schema.reading import read_schema
from abathur_schema.schema.text import read
from abathur_schema.upkeep.old_rows import statements, still_old
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, environment, invoke_command
from tests.support.fingerprints import digests
from tests.support.retention import NEW, OLD


@pytest.mark.parametrize("rule", read_rules(declared()), ids=lambda rule: rule.name)
def test_rows_are_found_by_the_index(rule: Any, bundle: Bundle) -> None:
    _, says, _ = read(rule.path)
    with closing(sqlite3.connect(bundle.path)) as connection:
        query = f"SELECT rowid FROM {rule.table} WHERE {rule.condition}"
        lines = connection.execute(f"EXPLAIN QUERY PLAN {query}", {"before": NEW}).fetchall()
    first = lines[0][3]
    if "index" in says:
        assert re.match(rf"SEARCH \w+ USING (COVERING )?INDEX {says['index']} ", first)
    else:
        assert first.startswith("SCAN")  # only this rule; it reads outside of any transaction
        assert rule.name == "deleted"


@pytest.mark.parametrize("rule", read_rules(declared()), ids=lambda rule: rule.name)
def test_a_transaction_looks_at_its_own_rows_only(rule: Any, bundle: Bundle) -> None:
    with closing(sqlite3.connect(bundle.path)) as connection:

        def plan(sql: str) -> list[str]:
            values = {"rows": "[]", "before": NEW, "most": 1}
            return [line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]

        live = read_schema(connection)
        look = plan(still_old(live, rule))
        assert f"SEARCH {rule.table} USING INTEGER PRIMARY KEY (rowid=?)" in look
        scans = [line for line in look if line.startswith("SCAN")]
        assert all("json_each" in line or "needed" in line for line in scans)
        for _, sql in statements(live, rule):
            lines = plan(sql)
            assert f"SEARCH {rule.table} USING INTEGER PRIMARY KEY (rowid=?)" in lines
            # What all of the waiting tasks need is read once, not for each table.
            assert all("json_each" in line for line in lines if line.startswith("SCAN"))


OWN = {
    "no statement": "-- old\n-- older-than: 1 day\nSELECT :before;",
    "no limit": "-- old\n-- older-than: 1 day\nDELETE FROM metrics WHERE id > 1;",
    "no age": "-- old\nDELETE FROM metrics WHERE timestamp < :before;",
    "no such table": "-- old\n-- older-than: 1 day\nDELETE FROM other WHERE timestamp < :before;",
    "no such column": "-- old\n-- older-than: 1 day\nDELETE FROM metrics WHERE x < :before;",
    "a limit in the condition": "-- old\n-- older-than: 1 day\n"
    "DELETE FROM metrics WHERE timestamp < :before LIMIT 3;",
    "another parameter": "-- old\n-- older-than: 1 day\n"
    "DELETE FROM metrics WHERE timestamp < :before AND id > :after;",
    "nothing hangs": "-- old\n-- older-than: 1 day\n-- with: agents\n"
    "DELETE FROM metrics WHERE timestamp < :before;",
}


def test_a_rule_of_ones_own(bundle: Bundle, invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "own" / "sql" / "retention" / "metrics.sql"
    path.parent.mkdir(parents=True)
    path.write_text(
        "-- Metrics past a week\n-- older-than: 1 week\n"
        "DELETE FROM metrics\n WHERE timestamp < :before -- by its text\n;"
    )
    for when in (OLD, NEW):
        bundle.sql(
            "INSERT INTO metrics (timestamp, metric_name, metric_value)"
            f" VALUES ('{when}', '{when}', 1)"
        )
    result = invoke("forget", "metrics", "--schema", "own")
    assert result.returncode == 0, result.stderr
    assert bundle.rows("SELECT metric_name FROM metrics") == [(NEW,)]
    path.with_name("audit.sql").write_text(path.read_text())
    assert "are both called audit" in invoke("forget", "--schema", "own").stderr


@pytest.mark.parametrize("case", OWN)
def test_a_rule_that_is_wrong(case: str, bundle: Bundle, invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "own" / "sql" / "retention" / "wrong.sql"
    path.parent.mkdir(parents=True)
    path.write_text(OWN[case])
    before = digests(bundle.path)
    result = invoke("forget", "all", "--schema", "own")
    assert result.returncode == 2
    assert str(path) in result.stderr
    assert digests(bundle.path) == before


@pytest.mark.parametrize("form", ["(id TEXT PRIMARY KEY, t) WITHOUT ROWID", "(rowid TEXT, t)"])
def test_a_table_without_a_rowid(form: str, bundle: Bundle, invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "own" / "sql"
    (folder / "retention").mkdir(parents=True)
    (folder / "core.sql").write_text(f"CREATE TABLE samples {form};")
    rule = "-- old\n-- older-than: 1 day\nDELETE FROM samples WHERE t < :before;"
    (folder / "retention" / "samples.sql").write_text(rule)
    assert invoke("init", "--schema", "own").returncode == 0
    result = invoke("forget", "samples", "--schema", "own")
    assert result.returncode == 2
    assert "samples has no rowid" in result.stderr


def test_ctrl_c_while_it_looks(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "own" / "sql" / "retention" / "slow.sql"
    path.parent.mkdir(parents=True)
    path.write_text(
        "-- Metrics, after a long search\n-- older-than: 1 day\n"
        "DELETE FROM metrics WHERE timestamp < :before AND (WITH RECURSIVE n(i) AS (SELECT 1"
        " UNION ALL SELECT i + 1 FROM n WHERE i < 1e9) SELECT count(*) FROM n) > 1;\n"
    )
    bundle.sql("INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('', '', 1)")
    before = digests(bundle.path)
    with subprocess.Popen(
        invoke_command("forget", "slow", "--schema", "own"),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, "interrupted" in said) == (130, True)
    assert digests(bundle.path) == before
