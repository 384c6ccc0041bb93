"""Tables changed by editing their text: the result, and where that is not done."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given

from abathur_schema.declared.declaration import declared
from abathur_schema.errors import CannotReconcileError
from abathur_schema.planning.rebuild import rebuild
from abathur_schema.planning.statement import Statement
from abathur_schema.planning.table_plan import change_tables
from abathur_schema.schema.create_table import body
from abathur_schema.schema.difference import OtherTable
from abathur_schema.schema.difference import differences as schema_differences
from abathur_schema.schema.model import Schema
from abathur_schema.schema.reading import read_schema
from abathur_schema.schema.table_text import reformed
from abathur_schema.schema.text import normal
from tests.support.another_form import create, sql_of
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, command_line
from tests.support.everything import Everything, everything
from tests.support.kept import differences
from tests.support.random_schemas import SCHEMA, made, older_databases


def run(path: Path, statements: Sequence[Statement]) -> bool:
    """Run what a step would, if no row is in the way, and no parent lacks its key."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            for guard in statement.guards:
                try:
                    if connection.execute(f"SELECT count(*) {guard.rows}").fetchone()[0]:
                        return False
                except sqlite3.OperationalError:  # the step would first change the parent
                    return False
            connection.execute(statement.sql)
        connection.execute("COMMIT")
        return True


def changes_by_text(live: Schema) -> Iterator[tuple[OtherTable, list[Statement]]]:
    """The tables that differ in new columns, and otherwise only in what an edit of their text can
    change; each with its statements.
    """
    for difference in schema_differences(SCHEMA, live, [*SCHEMA.tables]):
        if isinstance(difference, OtherTable):
            try:
                changed = change_tables(declared(), live, "core", [difference])
            except CannotReconcileError:
                continue
            statements = changed[difference.declared.name]
            kinds = {made for one in statements for made, _ in one.made}
            if "tables_changed" in kinds:
                yield difference, statements


def rebuilding(live: Schema, difference: OtherTable) -> list[Statement]:
    wanted, table, changes = difference
    text = reformed(SCHEMA, live, wanted, table, changes)
    return rebuild(declared(), live, "core", difference, text)


def without_text(of: Everything) -> dict[str, object]:
    """All but the spelling: a rebuild puts the name of a table in quotes."""
    found = {name: getattr(of, name) for name in Everything.__dataclass_fields__}
    found["sequence"] = {row for row in of.sequence if row[1]}  # 0 is like none
    found["objects"] = {
        (kind, name): thing._replace(sql=normal(thing.sql[body(thing.sql)[0] :]))
        if kind == "table" and thing.sql and "(" in thing.sql
        else thing
        for (kind, name), thing in of.objects.items()
    }
    return found


@given(older_databases())
def test_text_change_makes_what_a_rebuild_would_have_made(statements: list[str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with made(statements, path) as connection:
            live = read_schema(connection)
        content = path.read_bytes()
        for difference, by_text in changes_by_text(live):
            one, other = (Path(folder) / f"{name}.db" for name in ("text", "rebuilt"))
            one.write_bytes(content)
            other.write_bytes(content)
            ran = run(one, by_text)
            try:
                again = run(other, rebuilding(live, difference))
            except sqlite3.Error:  # an index of the application cannot be created again
                continue
            assert ran == again
            if ran:
                changed, rebuilt = everything(one), everything(other)
                assert changed.integrity == ("ok",)
                assert without_text(changed) == without_text(rebuilt)


NO_ROW_WRITTEN = {
    "NOT NULL is loosened": ("task_id               TEXT", "task_id TEXT NOT NULL"),
    "a former foreign key goes": (
        "task_id               TEXT",
        "task_id TEXT REFERENCES tasks(id)",
    ),
    "an action is another": ("ON DELETE SET NULL", "ON DELETE CASCADE"),
    "NOT NULL is tightened": ("action_type           TEXT NOT NULL", "action_type TEXT"),
    "a default": ("TIMESTAMP NOT NULL", "TIMESTAMP NOT NULL DEFAULT 'x'"),
    "a type of the same affinity": ("action_type           TEXT", "action_type VARCHAR(80)"),
}


@pytest.mark.parametrize("case", NO_ROW_WRITTEN)
def test_no_page_of_rows_is_written(case: str, bundle: Bundle) -> None:
    old, new = NO_ROW_WRITTEN[case]
    bundle.sql("PRAGMA legacy_alter_table = ON; DROP TABLE audit")
    indexes = [sql for name, sql in declared().creates.items() if name.startswith("idx_audit")]
    bundle.sql(create("audit", (old, new)) + "".join(indexes))
    bundle.sql(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO audit (timestamp, task_id, action_type, action_data)"
        " SELECT 't' || i, 'gone', 'read', 'some data of the row ' || i FROM n"
    )
    before = bundle.path.read_bytes()
    assert bundle.run("core") == 0
    assert bundle.report()["deliverables"]["tables_changed"] == ["audit"]
    bundle.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    after = bundle.path.read_bytes()
    assert len(after) == len(before)
    pages = range(0, len(before), 4096)
    changed = [at // 4096 + 1 for at in pages if before[at : at + 4096] != after[at : at + 4096]]
    schema = {
        1,
        *(
            page
            for (page,) in bundle.rows("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'")
        ),
    }
    assert set(changed) <= schema
    assert bundle.run("verify") == 0


ADDED_LATER = {
    "nothing": "",
    "a default that is cast": "ALTER TABLE document_index ADD COLUMN n DEFAULT (CAST('7' AS INT));",
    "a generated column": (
        "ALTER TABLE document_index ADD COLUMN words INTEGER NOT NULL AS (length(title));"
    ),
}


@pytest.mark.parametrize("later", ADDED_LATER.values(), ids=ADDED_LATER)
def test_default_of_rows_that_end_before_the_column_stays_theirs(
    later: str, bundle: Bundle
) -> None:
    """With the text edited, those rows would have another value."""
    short = create("document_index", ("    chunk_count     INTEGER DEFAULT 1,\n", ""))
    bundle.sql(
        f"DROP TABLE document_index; {short}"
        "INSERT INTO document_index (file_path, title, content_hash) VALUES ('a', 'b', 'c');"
        f"ALTER TABLE document_index ADD COLUMN chunk_count INTEGER DEFAULT 7; {later}"
    )
    assert bundle.run("init") == 0
    assert bundle.rows("SELECT chunk_count FROM document_index") == [(7,)]
    assert bundle.report()["deliverables"]["tables_rebuilt"] == ["document_index"]


def test_what_the_application_wrote_stays_letter_by_letter(empty: Bundle) -> None:
    own = (
        "CREATE TABLE audit (\n"
        "\tid INTEGER PRIMARY KEY AUTOINCREMENT, -- the 'number\n"
        "\ttimestamp TIMESTAMP NOT NULL,\n"
        "\tagent_id TEXT /* who, (if anybody */ CONSTRAINT [by whom] REFERENCES agents(id)"
        " DEFERRABLE INITIALLY DEFERRED,\n"
        "\t`task_id` TEXT CONSTRAINT must NOT NULL,\n"
        "\taction_type TEXT NOT NULL, action_data TEXT, result TEXT, memory_operation_type TEXT,\n"
        "\tmemory_namespace TEXT, memory_entry_id INTEGER REFERENCES memory_entries(id),\n"
        "\tnaïve“x” TEXT DEFAULT 'a\tb, (c' CHECK (audit.naïve“x” <> ')'), -- last, of mine\n"
        "\tCONSTRAINT fk FOREIGN KEY (task_id) REFERENCES tasks(id)\n"
        ")"
    )
    empty.sql(
        f"{own};INSERT INTO audit (timestamp, task_id, action_type) VALUES ('t', 'gone', 'x')"
    )
    assert empty.run("init") == 0
    expected = own
    for old, new in (
        ("`task_id` TEXT CONSTRAINT must NOT NULL", "`task_id` TEXT"),
        ("REFERENCES memory_entries(id)", "REFERENCES memory_entries(id) ON DELETE SET NULL"),
        ("CONSTRAINT fk FOREIGN KEY (task_id) REFERENCES tasks(id)", ""),
    ):
        expected = expected.replace(old, new)
    expected = expected.replace("<> ')'), -- last", "<> ')') -- last")
    assert sql_of(empty, "audit") == expected
    assert empty.run("verify") == 0


def test_parent_that_is_asked_for_its_key_changes_in_the_same_step(bundle: Bundle) -> None:
    bundle.sql("PRAGMA legacy_alter_table = ON; DROP TABLE agents; DROP TABLE tasks")
    bundle.sql(
        create("tasks", ("retry_count                   INTEGER DEFAULT 0", "retry_count INTEGER"))
        + create("agents", ("REFERENCES tasks(id) ON DELETE CASCADE", "REFERENCES tasks"))
    )
    assert bundle.run("core") == 0
    assert bundle.report()["deliverables"]["tables_changed"] == ["tasks", "agents"]
    assert "REFERENCES tasks ON DELETE CASCADE" in sql_of(bundle, "agents")
    assert bundle.run("init") == 0


def test_other_connections_read_the_schema_again(bundle: Bundle) -> None:
    bundle.sql("PRAGMA legacy_alter_table = ON; DROP TABLE audit")
    bundle.sql(create("audit", ("task_id               TEXT", "task_id TEXT NOT NULL")))
    with closing(sqlite3.connect(bundle.path, isolation_level=None)) as other:
        insert = "INSERT INTO audit (timestamp, action_type) VALUES ('t', 'x')"
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(insert)
        assert bundle.run("core") == 0
        other.execute(insert)


def test_plan_of_a_text_change_runs_in_the_command_line(
    bundle: Bundle, invoke: Invoke, tmp_path: Path
) -> None:
    bundle.sql("PRAGMA legacy_alter_table = ON; DROP TABLE audit")
    bundle.sql(create("audit", ("task_id               TEXT", "task_id TEXT NOT NULL")))
    assert bundle.run("core-indexes") == 0
    assert bundle.run("memory-indexes") == 0
    planned = invoke("plan").stdout
    assert ".dbconfig defensive off" in planned
    assert "-- table audit, by editing its text:\n--   column task_id is NOT NULL" in planned
    copy = tmp_path / "copy.db"
    copy.write_bytes(bundle.path.read_bytes())
    ran = command_line(copy, planned)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert bundle.run("init") == 0
    assert differences(everything(copy), everything(bundle.path)) == []
