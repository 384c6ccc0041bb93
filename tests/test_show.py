"""`show` writes one page with all that is known, and it needs nothing else."""

import json
import re
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema.commands.tasks import run_show
from tests.campaigns import hostile_files
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, run
from tests.support.pages import Parsed, only_page

MARKUP = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>{{ 7 * 7 }}"


def test_page_of_a_finished_database(bundle: Bundle, invoke: Invoke) -> None:
    result = invoke("show")
    page = only_page(bundle.reports)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"page: {page}"
    report = max(bundle.reports.glob("*-verify.json"))
    assert page == report.with_suffix(".html")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    parsed = Parsed(page.read_text("utf-8"))
    assert parsed.wrong == []
    checks = len(bundle.report()["checks"])
    assert f"All {checks} checks passed" in parsed.text
    for table in ("tasks", "memory_entries", "document_index"):
        assert f"{table}" in parsed.text


def test_page_is_complete_in_itself(bundle: Bundle, invoke: Invoke) -> None:
    assert invoke("show").returncode == 0
    content = only_page(bundle.reports).read_text("utf-8")
    parsed = Parsed(content)
    assert "//" not in re.sub(r"^\s*//.*$", "", content, flags=re.MULTILINE).replace(
        "https", ""
    ).replace("file:", "")
    links = {value for name, value in parsed.attributes if name in ("href", "src", "action")}
    assert links
    assert all(link and link.startswith("#") for link in links)
    (policy,) = (
        value
        for name, value in parsed.attributes
        if name == "content" and "default-src" in (value or "")
    )
    assert policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not any(name == "style" or name.startswith("on") for name, _ in parsed.attributes)


def test_drift_is_marked_where_it_is(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(
        "DROP INDEX idx_agents_state; DROP TABLE metrics; DROP INDEX idx_tasks_parent;"
        "CREATE INDEX idx_tasks_parent ON tasks(status);"
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, task TEXT REFERENCES tasks(id));"
        "ALTER TABLE tasks ADD COLUMN color TEXT"
    )
    assert invoke("show").returncode == 0
    data = json.loads(invoke("show", "--json").stdout)
    tables = {table["name"]: table for table in data["tables"]}
    marks = {name: table["mark"] for name, table in tables.items() if table["mark"]}
    assert marks == {
        "metrics": "missing",
        "agents": "index missing",
        "tasks": "index different",
    }
    assert tables["notes"]["state"] == "theirs"
    states = {column["name"]: column["state"] for column in tables["tasks"]["columns"]}
    assert (states.pop("color"), set(states.values())) == ("theirs", {"ok"})
    (other,) = (one for one in tables["tasks"]["indexes"] if one["state"] == "different")
    assert (other["name"], other["on"]) == ("idx_tasks_parent", "(status)")
    assert other["declared"].startswith("(parent_task_id")
    assert data["verdict"]["state"] == "drift"
    assert f"`invoke plan --database {bundle.path}`" in data["verdict"]["next"]
    page = Parsed(only_page(bundle.reports).read_text("utf-8"))
    assert "index idx_agents_state is missing" in page.text


def test_failed_step_is_shown_with_its_preserved_state(empty: Bundle, invoke: Invoke) -> None:
    empty.sql("CREATE VIEW audit AS SELECT 1")
    assert invoke("init").returncode == 3
    (report,) = empty.reports.glob("*.json")
    for named in (report, report.with_suffix("") / "report.json"):
        assert invoke("show", str(named)).returncode == 0
    page = only_page(empty.reports)
    assert page == report.with_suffix(".html")
    text = Parsed(page.read_text("utf-8")).text
    assert "core failed: table audit is missing: the name audit is taken by a view" in text
    assert str(report.with_suffix("")) in text
    assert "Traceback" not in text


def test_report_of_every_task_can_be_shown(bundle: Bundle, invoke: Invoke) -> None:
    for task in ("pragma", "core", "verify", "search", "backup", "checkpoint", "optimize"):
        assert invoke(task).returncode == 0
    state = next(path for path in bundle.reports.iterdir() if path.is_dir())
    assert invoke("restore", str(state)).returncode == 0
    for report in sorted(bundle.reports.glob("*.json")):
        shown = run_show(str(report), str(bundle.path), str(bundle.reports), as_json=False)
        assert shown == 0
        parsed = Parsed(report.with_suffix(".html").read_text("utf-8"))
        assert parsed.wrong == []
        assert report.stem.split("Z-")[1] in parsed.text


def test_json_is_what_the_page_shows(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(
        "INSERT INTO memory_entries (namespace, key, value, memory_type) VALUES"
        " ('user:alice:notes', 'a', '{}', 'semantic'), ('user:bob', 'a', '\"ö\"', 'semantic')"
    )
    assert invoke("show").returncode == 0
    text = Parsed(only_page(bundle.reports).read_text("utf-8")).text
    data = json.loads(invoke("show", "--json").stdout)
    shown = [
        *(check["name"] for check in data["report"]["checks"]),
        *(query["name"] for query in data["queries"]),
        *(line for query in data["queries"] for line in query["plan"]),
        *(part["name"] for part in data["space"]),
        *(index["name"] for table in data["tables"] for index in table["indexes"]),
        *(column["name"] for table in data["tables"] for column in table["columns"]),
        *(column["comment"] for table in data["tables"] for column in table["columns"]),
    ]
    assert [one for one in shown if one not in text] == []
    (user,) = data["namespaces"]
    assert (user["name"], user["memories"], user["bytes"]) == ("user", 2, 6)
    assert {one["name"] for one in user["below"]} == {"alice", "bob"}
    rows = {table["name"]: table["rows"] for table in data["tables"]}
    assert (rows["memory_entries"], rows["tasks"]) == (2, 0)


def test_space_accounts_for_the_whole_file(bundle: Bundle, invoke: Invoke) -> None:
    bundle.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO metrics (timestamp, metric_name, metric_value) SELECT '', 'm' || i, i FROM n;"
        "DELETE FROM metrics WHERE id > 3000"
    )
    data = json.loads(invoke("show", "--json").stdout)
    database = data["database"]
    assert (
        sum(part["bytes"] for part in data["space"]) + database["free_bytes"] == (database["bytes"])
    )
    metrics = next(table for table in data["tables"] if table["name"] == "metrics")
    assert metrics["rows"] == 3000


def test_growth_is_read_from_the_reports_of_this_database(bundle: Bundle, invoke: Invoke) -> None:
    assert invoke("init", "--database", "other.db").returncode == 0
    for number in range(3):
        bundle.sql(
            f"INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('', 'm', {number})"
        )
        assert invoke("verify").returncode == 0
    (bundle.reports / "20261124T133000.123456Z-verify.json").write_text("no JSON")
    (bundle.reports / "20261124T133001.123456Z-verify.json").write_text('{"steps": 1}')
    growth = json.loads(invoke("show", "--json").stdout)["growth"]
    assert [(one["task"], one["rows"]) for one in growth] == [
        ("init", 0),
        ("verify", 1),
        ("verify", 2),
        ("verify", 3),
        ("verify", 3),
    ]
    assert all(one["bytes"] > 100_000 for one in growth)


@pytest.mark.parametrize("kind", hostile_files.MADE)
def test_hostile_file_does_the_page_no_harm(kind: str, empty: Bundle, invoke: Invoke) -> None:
    hostile_files.MADE[kind](empty.path)
    result = invoke("show")
    assert "Traceback" not in result.stderr
    assert result.returncode in (0, 2)
    for page in empty.reports.glob("*.html"):
        parsed = Parsed(page.read_text("utf-8"))
        assert parsed.wrong == []
        assert (parsed.tags.count("script"), parsed.tags.count("style")) == (1, 1)
        assert "\x1b" not in parsed.text


def test_names_that_are_markup_are_text(empty: Bundle, invoke: Invoke) -> None:
    with closing(sqlite3.connect(empty.path)) as connection:
        name = MARKUP.replace('"', '""')
        connection.executescript(
            f'CREATE TABLE "{name}" ("{name}" TEXT DEFAULT \'<b>\' CHECK ("{name}" <> \'<b>\'));'
            f'CREATE INDEX "i{name}" ON "{name}" ("{name}");'
            f'CREATE VIEW "v{name}" AS SELECT 1'
        )
    assert invoke("init").returncode == 0
    assert invoke("show").returncode == 0
    content = only_page(empty.reports).read_text("utf-8")
    parsed = Parsed(content)
    assert parsed.wrong == []
    assert (parsed.tags.count("script"), parsed.tags.count("img"), parsed.tags.count("b")) == (
        *(1, 0, 0),
    )
    assert MARKUP in parsed.text


def test_thousand_tables_and_a_finding_of_a_megabyte(bundle: Bundle, invoke: Invoke) -> None:
    name = "n" * 1_000_000
    bundle.sql(
        "".join(
            f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY, p REFERENCES t{n * 7 % 1000}(id));"
            for n in range(1000)
        )
        + f'CREATE VIEW "{name}" AS SELECT * FROM nowhere'
    )
    result = invoke("show")
    assert result.returncode == 0, result.stderr
    page = only_page(bundle.reports)
    assert "t999" in page.read_text("utf-8")
    assert page.stat().st_size < 8_000_000


def test_database_that_is_gone_is_said_to_be(bundle: Bundle, invoke: Invoke) -> None:
    (report,) = bundle.reports.glob("*.json")
    bundle.path.unlink()
    result = invoke("show", str(report))
    assert result.returncode == 0, result.stderr
    assert "there is no file" in Parsed(only_page(bundle.reports).read_text("utf-8")).text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("no JSON", "is not a report"),
        ("[1]", "is not a report of ours"),
        ('{"steps": [], "checks": 7}', "is not a report of ours"),
    ],
)
def test_what_is_no_report(content: str | None, says: str, invoke: Invoke, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    result = invoke("show", "report.json")
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert not (tmp_path / "reports").exists()


def test_without_the_template_engine(bundle: Bundle, tmp_path: Path) -> None:
    before = sorted(bundle.reports.iterdir())
    without = (
        "import sys; sys.modules['jinja2'] = None;"
        "from abathur_schema.commands.tasks import run_show;"
        f"database, reports = {str(bundle.path)!r}, {str(bundle.reports)!r};"
        "sys.exit(run_show(None, database, reports, sys.argv[1:] != []))"
    )
    result = run([sys.executable, "-c", without], tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "pip install 'abathur-schema[show]'" in result.stderr
    assert sorted(bundle.reports.iterdir()) == before
    assert run([sys.executable, "-c", without, "json"], tmp_path).returncode == 0
