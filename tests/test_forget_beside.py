"""`forget` beside applications that refer to rows, write and start again; and stopped midway."""

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema.commands.tasks import run_task
from abathur_schema.declared.declaration import declared
from abathur_schema.declared.retention import read_rules
from abathur_schema.progress import Progress
from abathur_schema.schema.reading import read_schema
from abathur_schema.storage.connection import connect
from abathur_schema.upkeep.forget import Forgetting
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, environment, invoke_command
from tests.support.generation_4 import running
from tests.support.retention import NEW, OLD, checkpoint, fill, memory, task
from tests.test_backup import writing
from tests.test_forget import names, trail
from tests.test_status import holding

REFERS = "CREATE TABLE mine (id, memory INTEGER REFERENCES memory_entries(id){})"
REFUSALS = {
    "a foreign key": REFERS.format(""),
    "a deferred foreign key": REFERS.format(" DEFERRABLE INITIALLY DEFERRED"),
    "a trigger": "CREATE TABLE mine (id, memory); CREATE TRIGGER keep BEFORE DELETE ON"
    " memory_entries WHEN old.id IN (SELECT memory FROM mine) BEGIN"
    " SELECT raise(ABORT, 'it is mine'); END",
    "a trigger that ends the transaction": "CREATE TABLE mine (id, memory); CREATE TRIGGER keep"
    " BEFORE DELETE ON memory_entries WHEN old.id IN (SELECT memory FROM mine) BEGIN"
    " SELECT raise(ROLLBACK, 'it is mine'); END",
    "a trigger that says nothing": "CREATE TABLE mine (id, memory); CREATE TRIGGER keep"
    " BEFORE DELETE ON memory_entries WHEN old.id IN (SELECT memory FROM mine) BEGIN"
    " SELECT raise(IGNORE); END",
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_the_application_refers_to_stays(refusal: str, bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(REFUSALS[refusal])
    fill(bundle.path, [memory(f"m{number}", updated_at=OLD) for number in range(120)])
    bundle.sql("INSERT INTO mine SELECT 1, id FROM memory_entries WHERE id IN (7, 77)")
    result = invoke("forget", "episodes")
    assert result.returncode == 0, result.stderr
    assert "of memory_entries, 2 old rows stay" in " ".join(result.stderr.split())
    assert names(bundle) == {"m6 1", "m76 1"}
    assert trail(bundle)[0]["rows"] == {"memory_entries": 118}


def looks_of(bundle: Bundle, others: Callable[[int], None]) -> list[int]:
    """Run the rule `tasks`; `others` act just before each transaction takes the lock, given its
    number. Returns how often each transaction looked at what the waiting tasks need.
    """
    looks: list[int] = []
    ended = True

    def traced(sql: str) -> None:
        nonlocal ended
        if sql == "BEGIN IMMEDIATE":
            others(len(looks))
            looks.append(0)
        if sql in ("BEGIN IMMEDIATE", "COMMIT"):
            ended = sql == "COMMIT"
        if "waiting.dependencies" in sql and not ended:
            looks[-1] += 1

    (rule,) = (rule for rule in read_rules(declared()) if rule.name == "tasks")
    with closing(connect(bundle.path, "rw", declared().settings)) as connection:
        live = read_schema(connection)
        connection.set_trace_callback(traced)
        Forgetting(connection, declared(), live, rule, NEW, Progress(None)).run()
    return looks


def test_a_transaction_looks_again_only_after_others_wrote(bundle: Bundle) -> None:
    waits = task("waits", status="blocked", dependencies='["t0"]')
    fill(bundle.path, [waits, *(task(f"t{n}", completed_at=OLD) for n in range(600))])

    def once(transaction: int) -> None:
        if transaction == 2:
            fill(bundle.path, [task("soon", status="pending", dependencies='["t599"]')])

    looks = looks_of(bundle, once)
    assert len(looks) > 3
    assert looks == [0, 0, *[1] * (len(looks) - 2)]
    assert names(bundle) == {"waits", "t0", "soon", "t599"}


def test_what_is_needed_by_the_last_moment_stays(bundle: Bundle) -> None:
    fill(bundle.path, [task(f"t{n}", completed_at=OLD) for n in range(600)])

    def always(transaction: int) -> None:
        needed = f'["t{590 - transaction}"]'
        fill(bundle.path, [task(f"w{transaction}", status="pending", dependencies=needed)])

    looks = looks_of(bundle, always)
    assert looks == [1] * len(looks)
    needed = {f"t{590 - transaction}" for transaction in range(len(looks))}
    assert names(bundle) == needed | {f"w{transaction}" for transaction in range(len(looks))}


def test_what_a_trigger_of_the_application_needs_stays(bundle: Bundle) -> None:
    """It writes on our own connection, as a row goes."""
    fill(bundle.path, [task(f"t{n}", completed_at=OLD) for n in range(600)])
    columns = "id, prompt, status, input_data, submitted_at, last_updated_at, dependencies"
    bundle.sql(
        "CREATE TRIGGER mine AFTER DELETE ON tasks WHEN old.id = 't0' BEGIN"
        f" INSERT INTO tasks ({columns}) VALUES ('new', '', 'pending', '', '', '', '[\"t599\"]');"
        " END"
    )
    looks_of(bundle, lambda _: None)
    assert names(bundle) == {"new", "t599"}


@pytest.mark.parametrize("of", ["tasks", "checkpoints"])
def test_a_task_that_stays_keeps_what_hangs_on_it(of: str, bundle: Bundle, invoke: Invoke) -> None:
    key = {"tasks": "task REFERENCES tasks(id)", "checkpoints": "task, n"}[of]
    more = ", FOREIGN KEY (task, n) REFERENCES checkpoints(task_id, iteration)"
    bundle.sql(f"CREATE TABLE mine ({key}{more if of == 'checkpoints' else ''})")
    rows = [checkpoint("old", "c", iteration=number, created_at=OLD) for number in range(500)]
    fill(bundle.path, [task("old", completed_at=OLD), *rows])
    bundle.sql("INSERT INTO mine SELECT 'old'" + (", 3" if of == "checkpoints" else ""))
    result = invoke("forget", "tasks")
    assert "unchanged" in result.stdout
    assert "of tasks, 1 old rows stay" in result.stderr
    assert bundle.rows("SELECT count(*) FROM checkpoints") == [(500,)]


IN_THE_DATABASE = {
    "a key that is none": ("CREATE TABLE kid (a REFERENCES tasks(prompt))", "no key of the other"),
    "a name of SQLite": ("CREATE TABLE json_each (a)", "has the name of one of SQLite's functions"),
}


@pytest.mark.parametrize("case", IN_THE_DATABASE)
def test_what_is_wrong_in_the_database_is_no_fault_of_a_rule(
    case: str, bundle: Bundle, invoke: Invoke
) -> None:
    made, cause = IN_THE_DATABASE[case]
    bundle.sql(made)
    result = invoke("forget", "all")
    assert result.returncode == 2
    assert cause in " ".join(result.stderr.split())
    assert ".sql" not in result.stderr


def test_many_tables_and_columns_of_the_application(bundle: Bundle, invoke: Invoke) -> None:
    tables = (f"CREATE TABLE t{n} (task REFERENCES tasks(id));" for n in range(450))
    columns = (f"ALTER TABLE tasks ADD COLUMN c{n};" for n in range(1200))
    bundle.sql(f"BEGIN; {''.join(tables)} {''.join(columns)} COMMIT;")
    fill(bundle.path, [task("goes", completed_at=OLD, c1199="x"), task("held", completed_at=OLD)])
    bundle.sql("INSERT INTO t449 VALUES ('held')")
    result = invoke("forget", "tasks")
    assert result.returncode == 0, result.stderr
    assert names(bundle) == {"held"}


def test_again_is_with_the_rules_and_the_age(bundle: Bundle, invoke: Invoke) -> None:
    fill(bundle.path, [memory("old", updated_at=OLD)])
    with holding(bundle.path, "BEGIN IMMEDIATE"):
        result = invoke("forget", "episodes", "--older-than", "90 days")
    assert result.returncode == 3
    again = f"`invoke forget episodes --older-than '90 days' --database {bundle.path}`"
    assert f"run {again} again" in " ".join(result.stderr.split())
    assert again in bundle.report()["orchestration_context"]["next_recommended_action"]


def test_while_others_write(bundle: Bundle, invoke: Invoke) -> None:
    fill(bundle.path, [memory(f"m{number}", updated_at=OLD) for number in range(20_000)])
    with writing(bundle.path) as writer:
        assert writer.stdout
        writer.stdout.readline()
        result = invoke("forget", "episodes")
        assert result.returncode == 0, result.stderr
        assert "20,000 of memory_entries forgotten" in result.stdout
        time.sleep(0.05)
        writer.kill()
        written = len(writer.stdout.read().splitlines())
    assert bundle.rows("SELECT count(*) >= ? FROM sessions".replace("?", str(written))) == [(1,)]


def test_the_application_runs_on(empty: Bundle, invoke: Invoke) -> None:
    with running(empty.path) as application:
        application.start()
        application.work()
    assert empty.run("init") == 0
    fill(empty.path, [task("old", completed_at=OLD), memory("old", updated_at=OLD)])
    with running(empty.path) as application:
        application.work()
        assert invoke("forget", "all", "--older-than", "365d").returncode == 0
        application.work()
        assert application.start() == []
        application.work()
    assert not names(empty) & {"old", "old 1"}
    assert empty.unchanged_by_init()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_and_run_again(
    how: signal.Signals, bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    total = 80_000
    fill(bundle.path, [memory(f"m{number}", updated_at=OLD) for number in range(total)])
    command = invoke_command("forget", "episodes")
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL
    ) as process:
        while bundle.rows("SELECT count(*) FROM audit") == [(0,)] and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(how)
    left = bundle.rows("SELECT count(*) FROM memory_entries")[0][0]
    assert 0 < left < total
    assert trail(bundle)[0]["rows"] == {"memory_entries": total - left}
    if how == signal.SIGINT:
        assert process.returncode == 130
        report = bundle.report()
        assert report["execution_status"]["status"] == "PARTIAL"
        assert [step["status"] for step in report["steps"]] == ["changed", "failed"]
        assert report["deliverables"]["rows_deleted"] == [
            f"{total - left:,} of memory_entries forgotten"
        ]
    assert invoke("forget", "episodes").returncode == 0
    assert names(bundle) == set()
    assert sum(one["rows"]["memory_entries"] for one in trail(bundle)) == total
    assert run_task("verify", str(bundle.path), str(bundle.reports), as_json=False) == 0
