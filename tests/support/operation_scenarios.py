"""The commands of a database in operation, for `scenarios.py`."""

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from abathur_schema.commands.forget import run_forget
from abathur_schema.commands.operation import run_backup, run_vacuum
from abathur_schema.commands.tasks import run_task
from tests.support import retention
from tests.support.promises import Columns, Content, Outcome, Scenario, columns_of, content


class Backup(Scenario):
    """`backup` of a database whose last row is only in `-wal`."""

    task = "run_backup(None, {0.database!r}, {0.reports!r}, False)"
    exit_codes = (0, 1, 2, 3)
    done = "backed up"

    def prepare(self) -> None:
        database = self.start / self.database
        assert run_task("init", *self.paths(self.start), as_json=False) == 0
        shutil.rmtree(self.start / self.reports)
        with closing(sqlite3.connect(database)) as application:
            application.execute("INSERT INTO sessions (id, app_name, user_id) VALUES (1, 2, 3)")
            application.commit()
            log = Path(f"{database}-wal").read_bytes()
        Path(f"{database}-wal").write_bytes(log)

    def check(self, folder: Path, outcome: Outcome) -> str:
        assert self.look(folder) == self.before
        assert all(one == self.before for one in self.kept(folder)), "half a copy"
        told = [report["execution_status"]["status"] for report in self.said(folder)]
        if told == ["SUCCESS"]:
            assert self.kept(folder) == [self.before], "the report says that there is a copy"
            return "backed up"
        return "not backed up"

    def again(self, folder: Path) -> None:
        assert run_backup(None, *self.paths(folder), False, keep=1) == 0
        assert self.before in self.kept(folder)


class Vacuum(Scenario):
    """`vacuum` of a database with free pages: another file, with the same content."""

    task = "run_vacuum({0.database!r}, {0.reports!r}, False)"
    done = "vacuumed"

    def prepare(self) -> None:
        assert run_task("init", *self.paths(self.start), as_json=False) == 0
        shutil.rmtree(self.start / self.reports)
        with closing(sqlite3.connect(self.start / self.database)) as application:
            application.execute("INSERT INTO sessions (id, app_name, user_id) VALUES (1, 2, 3)")
            application.execute("CREATE TABLE large AS SELECT zeroblob(400000) AS x")
            application.execute("DROP TABLE large")
            application.commit()

    def check(self, folder: Path, outcome: Outcome) -> str:
        assert self.look(folder) == self.before
        assert all(one == self.before for one in self.kept(folder))
        told = [report["execution_status"]["status"] for report in self.said(folder)]
        if told == ["SUCCESS"]:
            assert self.kept(folder) == [self.before], "there is no copy of what was before"
            return "vacuumed"
        return "not vacuumed"

    def again(self, folder: Path) -> None:
        assert run_vacuum(*self.paths(folder), False) == 0
        assert self.look(folder) == self.before


class Forget(Scenario):
    """`forget` of old rows of the trail and of tasks with what hangs on them, beside new ones."""

    task = "run_forget('audit,tasks', {0.database!r}, {0.reports!r}, False)"
    done = "forgotten"
    columns: Columns

    def prepare(self) -> None:
        assert run_task("init", *self.paths(self.start), as_json=False) == 0
        shutil.rmtree(self.start / self.reports)
        rows: list[retention.Row] = []
        for number in range(60):
            rows += (
                retention.audit(f"old {number}", timestamp=retention.OLD),
                retention.audit(f"new {number}"),
                retention.task(f"old {number}", completed_at=retention.OLD),
                retention.task(f"new {number}", completed_at=retention.NEW),
                retention.agent(f"old {number}", f"agent of old {number}"),
                retention.agent(f"new {number}", f"agent of new {number}"),
            )
        database = self.start / self.database
        retention.fill(database, rows)
        with closing(sqlite3.connect(database)) as connection:
            self.columns = columns_of(connection)

    def look(self, folder: Path) -> Content | None:
        """The trail differs from run to run by what `forget` itself adds."""
        others = {"audit", "sqlite_sequence"}
        columns = {name: one for name, one in self.columns.items() if name not in others}
        return content(folder / self.database, columns)

    def check(self, folder: Path, outcome: Outcome) -> str:
        copy = folder / "counted.db"
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(f"{folder / self.database}{suffix}", f"{copy}{suffix}")
        with closing(sqlite3.connect(copy)) as connection:
            left = {
                table: connection.execute(
                    f"SELECT count(*), count(*) FILTER (WHERE {name} LIKE '%old%') FROM {table}"
                    f" WHERE {name} <> 'forget'"
                ).fetchone()
                for table, name in (("audit", "action_type"), ("tasks", "id"), ("agents", "id"))
            }
            told = connection.execute(
                "SELECT action_data FROM audit WHERE action_type = 'forget'"
            ).fetchall()
        for path in folder.glob("counted.db*"):
            path.unlink()
        gone = {table: 60 - old for table, (_, old) in left.items()}
        assert all(rows - old == 60 for rows, old in left.values()), "a new row is lost"
        assert gone["agents"] >= gone["tasks"], "an agent without its task"
        trail: Counter[str] = Counter()
        for (data,) in told:
            trail.update(json.loads(data)["rows"])
        assert +trail == +Counter(gone), "the trail does not tell what is gone"
        assert self.kept(folder) == []
        if outcome.code == 0:
            assert all(number == 60 for number in gone.values())
            return "forgotten"
        return "partly" if any(gone.values()) else "as it was"

    def again(self, folder: Path) -> None:
        assert run_forget("audit,tasks", *self.paths(folder), False) == 0
        assert self.look(folder) == self.after
