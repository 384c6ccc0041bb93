"""The commands to inject faults into, and what each one promises."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from abathur_schema.commands.tasks import run_plan, run_restore, run_task
from tests.support import older
from tests.support.operation_scenarios import Backup, Forget, Vacuum
from tests.support.promises import Columns, Content, Outcome, Scenario, columns_of, content


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of each file in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Fresh(Scenario):
    """`init` with no database yet."""

    def check(self, folder: Path, outcome: Outcome) -> str:
        found = self.look(folder)
        if found is None:
            return "no file"
        if outcome.signalled:  # every table the report names exists, and no step is half done
            (report,) = self.said(folder)
            made = report["deliverables"]["tables_created"]
            assert sorted(made) == sorted(set(found.rows) - {"sqlite_sequence"})
        return "finished" if found == self.after else "not finished"


class Upgrade(Scenario):
    """`init` on an extended database of generation 1: `tasks` is rebuilt."""

    columns: Columns
    generation = 1
    rows: ClassVar[Mapping[str, Any]] = {"tasks": 30, "audit": 30, "extended": True}
    """The arguments of `older.make`."""

    def prepare(self) -> None:
        database = self.start / self.database
        older.make(database, self.generation, **self.rows)
        with closing(sqlite3.connect(database)) as connection:
            self.columns = columns_of(connection)

    def look(self, folder: Path) -> Content | None:
        return content(folder / self.database, self.columns)

    def check(self, folder: Path, outcome: Outcome) -> str:
        found, before = self.look(folder), self.before
        assert found
        assert before
        assert found.rows == before.rows, "a row is lost"
        kept = self.kept(folder, self.columns)
        assert all(one and one.rows == before.rows for one in kept)
        core = {step["status"] for one in self.said(folder) for step in one["steps"][1:2]}
        if found.schema == before.schema:
            assert not core & {"changed"}, "the report says that core is done"
            return "as it was"
        assert not core & {"failed", "skipped"}, "the report says that core is not done"
        assert before in kept, "tasks is rebuilt, and there is no copy of what was before"
        return "finished" if found == self.after else "rebuilt"


class Text(Upgrade):
    """`init` on a database of generation 3: it adds columns and edits the text of tables, so no row
    is written and no copy is kept.
    """

    generation = 3

    def check(self, folder: Path, outcome: Outcome) -> str:
        found, before = self.look(folder), self.before
        assert found
        assert before
        assert found.rows == before.rows, "a row is lost"
        core = {step["status"] for one in self.said(folder) for step in one["steps"][1:2]}
        if found.schema == before.schema:
            assert not core & {"changed"}, "the report says that core is done"
            return "as it was"
        assert not core & {"failed", "skipped"}, "the report says that core is not done"
        return "finished" if found == self.after else "changed"


class Failing(Scenario):
    """`init` on a database that it cannot upgrade: the state is preserved."""

    ends_with = 3
    done = "the state kept"

    def prepare(self) -> None:
        with closing(sqlite3.connect(self.start / self.database)) as connection:
            connection.executescript(
                "CREATE VIEW audit AS SELECT 1; CREATE TABLE mine (x); INSERT INTO mine VALUES (1)"
            )

    def check(self, folder: Path, outcome: Outcome) -> str:
        assert outcome.killed or outcome.code not in (0, 1)
        assert self.look(folder) == self.before
        kept = self.kept(folder)
        assert all(one == self.before for one in kept)
        if not kept and outcome.code == 3:
            assert "not preserved: database.db" in outcome.error
        return "the state kept" if kept else "the state not kept"

    def again(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / self.database)) as connection:
            connection.execute("DROP VIEW audit")
        assert run_task("init", *self.paths(folder), as_json=False) == 0
        assert run_plan(*self.paths(folder), as_json=False) == 0


class Verify(Scenario):
    """`verify` on a finished database: it writes nothing but its report."""

    task = "run_task('verify', {0.database!r}, {0.reports!r}, as_json=False)"
    exit_codes = (0, 1, 2, 3)
    done = "a report"

    def prepare(self) -> None:
        assert run_task("init", *self.paths(self.start), as_json=False) == 0
        shutil.rmtree(self.start / self.reports)

    def check(self, folder: Path, outcome: Outcome) -> str:
        database = folder / self.database
        assert database.read_bytes() == (self.start / self.database).read_bytes()
        return "a report" if [*(folder / self.reports).glob("*.json")] else "no report"

    def again(self, folder: Path) -> None:
        assert run_task("verify", *self.paths(folder), as_json=False) == 0


class Restore(Scenario):
    """`restore` of the copy from before an upgrade; the last row it replaces is only in `-wal`."""

    task = "run_restore('state', {0.database!r}, {0.reports!r}, as_json=False)"
    done = "restored"

    def prepare(self) -> None:
        database = self.start / "made.db"
        older.make(database, 1, tasks=30, audit=30, extended=True)
        made = self.start / "made"
        assert run_task("init", str(database), str(made), as_json=False) == 0
        (before,) = made.glob("*-before")
        before.rename(self.start / "state")
        with closing(sqlite3.connect(database)) as application:
            application.execute("INSERT INTO sessions (id, app_name, user_id) VALUES (1, 2, 3)")
            application.commit()
            for suffix in ("", "-wal"):
                shutil.copy(f"{database}{suffix}", f"{self.start / self.database}{suffix}")
        shutil.rmtree(made)
        database.unlink()

    def check(self, folder: Path, outcome: Outcome) -> str:
        assert files(folder / "state") == files(self.start / "state")
        assert "is damaged" not in outcome.error
        found = self.look(folder)
        if found == self.before:
            assert outcome.code != 0
            return "as it was"
        assert found == self.after, "neither the old one nor the restored one"
        told_of = [one["human_readable_summary"] for one in self.said(folder)]
        assert not [summary for summary in told_of if "remains as it was" in summary]
        assert self.kept(folder) == [self.before], "what was replaced is not kept"
        return "restored"

    def again(self, folder: Path) -> None:
        assert run_restore(str(folder / "state"), *self.paths(folder), as_json=False) == 0
        assert self.look(folder) == self.after
        assert files(folder / "state") == files(self.start / "state")
        assert not [*folder.glob(".*")]


SCENARIOS: Mapping[str, type[Scenario]] = {
    "upgrade": Upgrade,
    "text": Text,
    "restore": Restore,
    "fresh": Fresh,
    "failing": Failing,
    "verify": Verify,
    "backup": Backup,
    "vacuum": Vacuum,
    "forget": Forget,
}
