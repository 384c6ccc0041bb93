"""Plan an upgrade, run it, and compare the two."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support import older
from tests.support.bundle import Bundle
from tests.support.commands import Invoke, command_line
from tests.support.everything import everything
from tests.support.kept import differences


def planned(database: Path, invoke: Invoke) -> list[dict[str, Any]]:
    """Return the steps of `invoke plan --json` that have something to do."""
    result = invoke("plan", "--json", "-d", str(database))
    steps = json.loads(result.stdout)["steps"]
    busy = [step for step in steps if step["statements"] or step["blocked"]]
    assert result.returncode == bool(busy)
    return busy


def start(bundle: Bundle, generation: int, sql: str = "") -> None:
    """Create an empty database of a generation, and run `sql` on it."""
    with closing(sqlite3.connect(bundle.path)) as connection:
        older.APPLICATIONS[generation].start(connection)
        connection.executescript(sql)


def planned_as_run(bundle: Bundle, invoke: Invoke, code: int = 0) -> None:
    """Check that `sqlite3`, fed the plan, does exactly what `init` does, or fails if it fails."""
    copy = bundle.path.with_name("copy.db")
    copy.write_bytes(bundle.path.read_bytes())
    ran = command_line(copy, invoke("plan").stdout)
    assert bundle.run("init") == code
    assert (bool(ran.returncode), bool(ran.stderr)) == (bool(code), bool(code)), ran.stderr
    assert differences(everything(copy), everything(bundle.path)) == []
