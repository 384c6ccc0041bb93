"""The jobs that `upgrade.py` measures: each changes a copy of an older database."""

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from abathur_schema.declared.declaration import SCHEMA_STEPS, bundled, declared
from benchmarks import alembic_project
from benchmarks.by_hand import UNGUARDED, rebuild, transaction
from benchmarks.start import ROOT, Command, run, script
from tests.support import older

COLUMNS, TEXT, INDEXES, REBUILD = "columns", "text", "indexes", "rebuild"
INVOKE, SHELL, ALEMBIC = "invoke", "sqlite3", "alembic batch"
WITH_COPY, CHECKED = "invoke, with a copy kept", "sqlite3, keys checked"
AUDIT_REBUILT = "sqlite3, audit rebuilt"
WHOLE = ", whole process"

ALEMBIC_VERSION = """\
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "columns"
down_revision = None


def upgrade():
    begin = time.perf_counter()
    for create in {parents!r}:
        op.get_bind().exec_driver_sql(create)
    for table, columns in {columns!r}.items():
        with op.batch_alter_table(table) as batch:
            for name, type_name, parent, on_delete in columns:
                key = sa.ForeignKey(parent, ondelete=on_delete, name="fk_" + name)
                keys = [key] if parent else []
                batch.add_column(sa.Column(name, getattr(sa, type_name)(), *keys))
    Path({duration!r}).write_text(str((time.perf_counter() - begin) * 1000))
"""


class Work(NamedTuple):
    """One job to measure: commands on a fresh copy of `prepared`.

    `inside` returns the milliseconds that count, where that is not the whole process. Afterwards
    the steps `done` have nothing left to do.
    """

    label: str
    prepared: Path
    commands: Sequence[Command]
    inside: Callable[[], float] | None
    done: Sequence[str]


class Bench:
    """A folder with the prepared databases, and the copy being worked on."""

    def __init__(self, folder: Path, tasks: int, audit: int) -> None:
        self.folder, self.rows = folder, {"tasks": tasks, "audit": audit}
        self.copy, self.reports = folder / "copy.db", folder / "reports"
        self.alembic_duration = folder / "alembic-duration"

    def works(self) -> Iterator[Work]:
        """All jobs, in order; creates the databases when needed."""
        yield from self._columns()
        yield from self._text()
        yield from self._indexes()
        yield from self._rebuild()

    def _columns(self) -> Iterator[Work]:
        prepared, done = self._older(3), ("core",)
        statements = self._statements(prepared, "core")
        commands = {
            INVOKE: [self._invoke("core")],
            SHELL: [self._shell(transaction(statements))],
            ALEMBIC: [self._alembic(statements)],
        }
        inside = {INVOKE: self._in_steps, ALEMBIC: self._in_alembic}
        for by, each in commands.items():
            after = () if by == ALEMBIC else done  # Alembic spells types and defaults its own way
            yield Work(name_of(COLUMNS, by), prepared, each, inside.get(by), after)

    def _text(self) -> Iterator[Work]:
        prepared, done = self.folder / "generation-3.db", ("core",)
        statements = self._statements(prepared, "core")
        by_hand = self._shell(rebuild(prepared, "audit", statements))
        yield Work(name_of(TEXT, INVOKE), prepared, [self._invoke("core")], self._in_steps, done)
        yield Work(name_of(TEXT, AUDIT_REBUILT), prepared, [by_hand], None, done)

    def _indexes(self) -> Iterator[Work]:
        prepared, steps = self._without_indexes(), ("core-indexes", "memory-indexes")
        creates, names = declared().creates, declared().steps
        texts = [transaction(creates[name] for name in names[step]) for step in steps]
        ours = [self._invoke(step) for step in steps]
        yield Work(name_of(INDEXES, INVOKE), prepared, ours, self._in_steps, steps)
        yield Work(name_of(INDEXES, SHELL), prepared, [self._shell("".join(texts))], None, steps)

    def _rebuild(self) -> Iterator[Work]:
        prepared, done = self._older(1), ("core",)
        for by, options in ((INVOKE, ["--no-backup"]), (WITH_COPY, [])):
            ours = [self._invoke("core", *options)]
            yield Work(name_of(REBUILD, by), prepared, ours, self._in_steps, done)
        statements = self._statements(prepared, "core", "--no-backup")
        for by, check in ((SHELL, ""), (CHECKED, "PRAGMA foreign_key_check;")):
            shell = self._shell(rebuild(prepared, "tasks", statements, check))
            yield Work(name_of(REBUILD, by), prepared, [shell], None, done)

    def measure(self, work: Work) -> dict[str, float]:
        """Run it once; the milliseconds by label."""
        self._copy(work.prepared)
        whole = sum(run(command, self.folder) for command in work.commands)
        if work.inside is None:
            return {work.label: whole}
        return {work.label: work.inside(), work.label + WHOLE: whole}

    def check(self, work: Work) -> None:
        """Raise ValueError unless `work` has just done all it should, and kept all rows."""
        with (
            closing(sqlite3.connect(work.prepared)) as before,
            closing(sqlite3.connect(self.copy)) as after,
        ):
            for table in self.rows:
                count = f"SELECT count(*) FROM {table}"
                if before.execute(count).fetchone() != after.execute(count).fetchone():
                    raise ValueError(f"{work.label}: {table} does not have as many rows as before")
        for step in work.done:
            if self._run_step(step):
                raise ValueError(f"{work.label}: left something to do for the step {step}")

    def _copy(self, prepared: Path) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.copy}{suffix}").unlink(missing_ok=True)
        shutil.rmtree(self.reports, ignore_errors=True)
        shutil.copyfile(prepared, self.copy)
        os.sync()

    def _older(self, generation: int) -> Path:
        """A large database of that generation, in WAL mode."""
        path = self.folder / f"generation-{generation}.db"
        older.make(path, generation, tasks=self.rows["tasks"], audit=self.rows["audit"])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        return path

    def _without_indexes(self) -> Path:
        """A finished database without its indexes."""
        path = self.folder / "without-indexes.db"
        self._copy(self.folder / "generation-3.db")
        for step in SCHEMA_STEPS:
            self._run_step(step)
        with closing(sqlite3.connect(self.copy)) as connection:
            for name in declared().schema.indexes:
                if name in declared().creates:
                    connection.execute(f"DROP INDEX {name}")
            connection.execute("VACUUM INTO ?", (str(path),))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        return path

    def _invoke(self, step: str, *options: str) -> Command:
        places = ["--database", str(self.copy), "--reports", str(self.reports)]
        return Command(
            step, [script("invoke"), "--search-root", str(ROOT), step, *places, *options]
        )

    def _shell(self, text: str) -> Command:
        shell = shutil.which("sqlite3")
        if shell is None:
            raise FileNotFoundError("no sqlite3: this compares with the command line of SQLite")
        pragmas = (bundled("sql") / "pragma.sql").read_text("utf-8")
        return Command(
            SHELL, [shell, "-batch", "-bail", str(self.copy)], stdin=UNGUARDED + pragmas + text
        )

    def _alembic(self, statements: Sequence[str]) -> Command:
        """Alembic adding the same columns, with their foreign keys, in batch mode."""
        added: dict[str, list[tuple[str, str, str, str]]] = {}
        for sql in statements:
            if found := re.match(r'ALTER TABLE "?(\w+)"? ADD COLUMN "?(\w+)', sql):
                table = declared().schema.tables[found[1]]
                key = next((k for k in table.foreign_keys if k.columns == (found[2],)), None)
                parent = f"{key.other_table}.{key.other_columns[0]}" if key else ""
                column = table.column[found[2]]
                added.setdefault(found[1], []).append(
                    (found[2], column.type.title(), parent, key.on_delete if key else "")
                )
        version = ALEMBIC_VERSION.format(
            parents=[sql for sql in statements if re.search(r"(?m)^CREATE TABLE", sql)],
            columns=added,
            duration=str(self.alembic_duration),
        )
        ini = alembic_project.write(self.folder / "alembic", self.copy, version)
        return Command(ALEMBIC, [script("alembic"), "-c", str(ini), "upgrade", "head"])

    def _statements(self, prepared: Path, step: str, *options: str) -> list[str]:
        """The statements that a step runs on a copy of a database, from its report."""
        self._copy(prepared)
        return self._run_step(step, *options)

    def _run_step(self, step: str, *options: str) -> list[str]:
        shutil.rmtree(self.reports, ignore_errors=True)
        run(self._invoke(step, *options), self.folder)
        return [each["sql"] for steps in self._reports() for each in steps["statements"]]

    def _reports(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.reports.glob("*.json")):
            yield from json.loads(path.read_text("utf-8"))["steps"]

    def _in_steps(self) -> float:
        return sum(float(step["duration_ms"]) for step in self._reports())

    def _in_alembic(self) -> float:
        return float(self.alembic_duration.read_text())


def name_of(work: str, by: str) -> str:
    """The label of a work, done by one of the tools compared."""
    return f"{work}: {by}"
