"""`forget`: by each rule exactly what is old goes; the rest, and whoever writes, is left alone."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from abathur_schema.declared.declaration import declared
from abathur_schema.declared.retention import read_rules
from tests.support.bundle import Bundle
from tests.support.commands import Invoke
from tests.support.fingerprints import digests
from tests.support.retention import (
    NEW,
    OLD,
    agent,
    audit,
    checkpoint,
    fill,
    memory,
    task,
)

Rows = Sequence[tuple[str, Mapping[str, Any]]]

CASES: dict[str, tuple[str, Rows, set[str], set[str]]] = {
    "the trail": (
        "audit",
        [audit("goes", timestamp=OLD), audit("stays", timestamp=NEW)],
        {"goes"},
        {"stays"},
    ),
    "times in other forms": (
        "audit",
        [
            audit("with T", timestamp="2025-01-01T00:00:00.123456+00:00"),
            audit("with an offset", timestamp="2025-01-01T00:00:00+05:00"),
            audit("a day", timestamp="2025-01-01"),
            audit("seconds of 1970, new", timestamp=1_795_000_000),
            audit("seconds of 1970, old", timestamp=1_500_000_000),
            audit("unreadable", timestamp="long ago"),
            audit("empty", timestamp=""),
        ],
        {"with T", "with an offset", "a day"},
        {"seconds of 1970, new", "seconds of 1970, old", "unreadable", "empty"},
    ),
    "the day of the limit": (
        "audit --older-than 2026-03-01T12:00:00",
        [
            audit("before, with T", timestamp="2026-03-01T11:59:59.999Z"),
            audit("before", timestamp="2026-03-01 11:59:59"),
            audit("at it, with T", timestamp="2026-03-01T12:00:00Z"),
            audit("at it", timestamp="2026-03-01 12:00:00"),
            audit("before it, by its offset", timestamp="2026-03-01T11:30:00+01:00"),
            audit("after it, by its offset", timestamp="2026-03-01T11:30:00-01:00"),
        ],
        {"before, with T", "before", "before it, by its offset"},
        {"at it, with T", "at it", "after it, by its offset"},
    ),
    "checkpoints": (
        "checkpoints",
        [
            task("done", status="completed", completed_at=NEW),
            task("running", status="running"),
            checkpoint("done", "goes", created_at=OLD),
            checkpoint("done", "is new", created_at=NEW),
            checkpoint("running", "is needed", created_at=OLD),
        ],
        {"goes"},
        {"done", "running", "is new", "is needed"},
    ),
    "episodes": (
        "episodes",
        [
            memory("goes", updated_at=OLD),
            memory("is new", updated_at=NEW),
            memory("is no episode", updated_at=OLD, memory_type="semantic"),
            memory("all go", 1, updated_at=OLD),
            memory("all go", 2, updated_at=OLD),
            memory("the last stays", 1, updated_at=OLD),
            memory("the last stays", 2, updated_at=NEW),
            memory("not back to the first", 1, updated_at=OLD, memory_type="procedural"),
            memory("not back to the first", 2, updated_at=OLD),
            memory("first written last", 1, updated_at=NEW),
            memory("first written last", 2, updated_at=OLD),
            memory("not back to what has no time", 1, updated_at="once"),
            memory("not back to what has no time", 2, updated_at=OLD),
        ],
        {"goes 1", "all go 1", "all go 2", "the last stays 1"},
        {
            *("is new 1", "is no episode 1", "the last stays 2"),
            *("not back to the first 1", "not back to the first 2"),
            *("first written last 1", "first written last 2"),
            *("not back to what has no time 1", "not back to what has no time 2"),
        },
    ),
    "deleted memories": (
        "deleted",
        [
            memory("goes", updated_at=OLD, is_deleted=1),
            memory("is new", updated_at=NEW, is_deleted=1),
            memory("is there", updated_at=OLD),
            memory("not back to the first", 1, updated_at=OLD),
            memory("not back to the first", 2, updated_at=OLD, is_deleted=1),
        ],
        {"goes 1"},
        {"is new 1", "is there 1", "not back to the first 1", "not back to the first 2"},
    ),
    "what is temporary": (
        "temporary",
        [
            memory("goes", namespace="temp:a", updated_at=OLD, memory_type="semantic"),
            memory("goes too", namespace="temp:", updated_at=OLD),
            memory("is new", namespace="temp:a", updated_at=NEW),
            memory("no part of it", namespace="temp", updated_at=OLD),
            memory("another", namespace="temporary:a", updated_at=OLD),
            memory("yet another", namespace="user:temp:", updated_at=OLD),
        ],
        {"goes 1", "goes too 1"},
        {"is new 1", "no part of it 1", "another 1", "yet another 1"},
    ),
    "tasks": (
        "tasks",
        [
            task("goes", completed_at=OLD),
            task("failed", status="failed", completed_at=None, last_updated_at=OLD),
            task("is new", completed_at=NEW),
            task("runs", status="running"),
            task("mother", completed_at=OLD),
            task("daughter", completed_at=OLD, parent_task_id="mother"),
            task("grandmother", completed_at=OLD),
            task("young mother", completed_at=NEW, parent_task_id="grandmother"),
            task("own mother", completed_at=OLD, parent_task_id="own mother"),
            task("needed", completed_at=OLD),
            task("waits", status="blocked", dependencies='["needed"]'),
            task("wrong list", status="blocked", dependencies="needed"),
            task("in the trail", completed_at=OLD),
            agent("in the trail", "agent in the trail"),
            audit("by it", timestamp=NEW, agent_id="agent in the trail"),
            audit("about it", timestamp=NEW, task_id="goes"),
            agent("goes", "agent of goes"),
            checkpoint("goes", "checkpoint of goes", created_at=OLD),
            ("state", {"task_id": "goes", "key": "state of goes", "value": "1"}),
        ],
        {
            *("goes", "failed", "mother", "daughter", "own mother"),
            *("agent of goes", "checkpoint of goes", "state of goes"),
        },
        {
            *("is new", "runs", "grandmother", "young mother", "needed", "waits", "wrong list"),
            *("in the trail", "agent in the trail", "by it", "about it"),
        },
    ),
}

NAMES = (
    "SELECT id FROM tasks UNION ALL SELECT id FROM agents UNION ALL SELECT key FROM state"
    " UNION ALL SELECT state FROM checkpoints UNION ALL SELECT key || ' ' || version"
    " FROM memory_entries UNION ALL SELECT action_type FROM audit WHERE action_type <> 'forget'"
)


def names(bundle: Bundle) -> set[str]:
    return {name for (name,) in bundle.rows(NAMES)}


def trail(bundle: Bundle) -> list[dict[str, Any]]:
    found = bundle.rows("SELECT action_data FROM audit WHERE action_type = 'forget'")
    return [json.loads(data) for (data,) in found]


@pytest.mark.parametrize("case", CASES)
def test_exactly_what_is_old_goes(case: str, bundle: Bundle, invoke: Invoke) -> None:
    rule, rows, go, stay = CASES[case]
    fill(bundle.path, rows)
    assert names(bundle) == go | stay
    asked = rule.split()
    looked = invoke("forget", *asked, "--dry-run", "--json")
    assert names(bundle) == go | stay
    result = invoke("forget", *asked)
    assert (result.returncode, result.stderr) == (0, "")
    assert names(bundle) == stay
    (plan,) = json.loads(looked.stdout)
    (told,) = trail(bundle)
    # A task whose daughter goes first is only found then.
    assert sum(plan["rows"].values()) == len(go) - (case == "tasks")
    assert sum(told["rows"].values()) == len(go)
    assert plan["bytes"] > 0
    assert bundle.rows("PRAGMA foreign_key_check") == []
    assert bundle.run("verify") == 0
    again = invoke("forget", *asked)
    assert "unchanged" in again.stdout
    assert len(trail(bundle)) == 1


def test_without_a_rule_nothing_goes(bundle: Bundle, invoke: Invoke) -> None:
    fill(bundle.path, [audit("old", timestamp=OLD), task("old", completed_at=OLD)])
    before = digests(bundle.path)
    result = invoke("forget")
    assert result.returncode == 0
    assert re.search(r"audit +1 rows, 0.0 MB", result.stdout)
    assert "nothing was forgotten. To forget it, name the rules" in result.stdout
    assert digests(bundle.path) == before
    assert not [*bundle.reports.glob("*-forget.json")]


def test_all_rules_and_the_report(bundle: Bundle, invoke: Invoke) -> None:
    fill(bundle.path, [audit("old", timestamp=OLD), task("old", completed_at=OLD)])
    result = invoke("forget", "all", "--json")
    report = bundle.report()
    assert json.loads(result.stdout) == report
    assert [step["name"] for step in report["steps"]] == [
        rule.name for rule in read_rules(declared())
    ]
    assert report["deliverables"]["rows_deleted"] == [
        "1 of audit forgotten",
        "1 of tasks forgotten",
    ]
    assert report["deliverables"]["files_modified"] == [str(bundle.path)]
    (statement,) = report["steps"][0]["statements"]
    bundle.sql(statement["sql"])  # it is SQL that can be run
    assert report["copy_before"] is None


SOON = datetime.now(timezone.utc) - timedelta(minutes=30)
"""In an hour behind UTC, the time in half an hour."""

WRONG = {
    "a rule that is not there": (["forget", "nonsense"], "is not a rule of sql/retention/"),
    "one of two": (["forget", "audit,"], "'' is not a rule"),
    "an age without a unit": (["forget", "audit", "--older-than", "30"], "neither an age nor"),
    "a day that is none": (["forget", "-o", "2026-02-30"], "neither an age nor a time"),
    "an empty age": (["forget", "audit", "--older-than", ""], "'' is neither an age nor a time"),
    "a time to come": (["forget", "audit", "--older-than", "2999-01-01"], "is after now"),
    "a time to come, by its offset": (
        ["forget", "audit", "--older-than", f"{SOON:%Y-%m-%dT%H:%M:%S}-01:00"],
        "is after now",
    ),
    "an age before all time": (["forget", "-o", "999999w"], "neither an age nor a time"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_touches_nothing(case: str, bundle: Bundle, invoke: Invoke) -> None:
    arguments, says = WRONG[case]
    fill(bundle.path, [audit("old", timestamp=OLD)])
    before = digests(bundle.path)
    result = invoke(*arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert digests(bundle.path) == before


def test_tables_that_are_not_as_declared(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql("DROP TABLE state")
    result = invoke("forget", "all")
    assert result.returncode == 2
    assert f"`invoke plan --database {bundle.path}`" in result.stderr


def test_much_hangs_on_one_task(bundle: Bundle, invoke: Invoke) -> None:
    rows = [checkpoint("old", "c", iteration=number, created_at=OLD) for number in range(3000)]
    fill(bundle.path, [task("old", completed_at=OLD), *rows])
    result = invoke("forget", "tasks")
    assert "3,000 of checkpoints, 1 of tasks forgotten" in result.stdout
    assert names(bundle) == set()


def test_search_finds_nothing_of_it(bundle: Bundle, invoke: Invoke) -> None:
    assert bundle.run("search") == 0
    fill(bundle.path, [memory("gone", updated_at=OLD, value='"a rare word"')])
    found = "SELECT count(*) FROM memory_search WHERE memory_search MATCH 'rare'"
    assert bundle.rows(found) == [(1,)]
    assert invoke("forget", "episodes").returncode == 0
    assert bundle.rows(found) == [(0,)]
    assert bundle.run("verify") == 0
