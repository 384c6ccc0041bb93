"""Search by embedding in processes of their own: with sqlite-vec, and without numpy."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import aiosqlite
import pytest

from abathur_schema import Database
from tests.support.commands import ROOT, environment, invoke_command
from tests.support.embeddings import Embedded, agree, blob, insert, nearest, some
from tests.support.machine import python_with_extensions

SIZE = 12

PACKAGES = str(Path(aiosqlite.__file__).parent.parent)

PROGRAM = """
import asyncio, json, sqlite3, sys
import abathur_schema
from abathur_schema import Database

async def main():
    {before}
    async with Database(sys.argv[1]) as db:
        found = []
        for wanted, limit, kind in json.loads(sys.stdin.read()):
            blob = bytes.fromhex(wanted)
            near = await db.nearest_documents(blob, limit=limit, document_type=kind)
            found.append([near.left_out, [(one.id, one.distance) for one in near]])
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.mark.parametrize("rows", [50, 4000])
async def test_sqlite_vec_finds_the_same(tmp_path: Path, rows: int) -> None:
    """In a process whose Python loads extensions, as that of the tests may not."""
    python = python_with_extensions()
    path = tmp_path / "swarm.db"
    chance = random.Random(4)
    documents = some(chance, range(1, rows), SIZE, scales=(1.0, 1e-6, 1e6))
    others = some(chance, range(rows, rows + 30), SIZE + 1)
    async with Database(path):
        insert(path, [*documents, *others, Embedded(rows + 30, None, "m", bytes(4 * SIZE))])
    asked = [
        (blob(*(chance.gauss(0, 1) for _ in range(SIZE))), limit, kind)
        for limit in (1, 10, 300)
        for kind in (None, "code")
    ]
    result = subprocess.run(
        [python, "-c", PROGRAM.format(before="sys.modules['numpy'] = None"), str(path)],
        input=json.dumps([(wanted.hex(), *more) for wanted, *more in asked]),
        capture_output=True,
        text=True,
        check=False,
        env=environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), PACKAGES])},
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    for (wanted, limit, kind), (left_out, pairs) in zip(asked, found, strict=True):
        agree(pairs, nearest(documents, wanted, limit, kind))
        assert left_out == sum(kind in (None, one.kind) for one in others) + (kind is None)


def test_without_numpy_and_extensions_the_error_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    before = "sys.modules['numpy'] = sys.modules['sqlite_vec'] = None"
    command = [sys.executable, "-c", PROGRAM.format(before=before), str(path)]
    asked = json.dumps([(blob(1, 0).hex(), 1, None)])
    result = subprocess.run(
        command, input=asked, capture_output=True, text=True, check=False, env=environment()
    )
    assert result.returncode == 1
    assert "pip install 'abathur-schema[search]'" in result.stderr.splitlines()[-1]


def test_who_does_not_search_imports_nothing_of_it(tmp_path: Path) -> None:
    """A `Database` is used without numpy; what sqlite-utils imports for itself is told apart."""
    program = PROGRAM.format(before="sys.modules['numpy'] = sys.modules['sqlite_vec'] = None")
    for command in (
        [sys.executable, "-c", program, str(tmp_path / "swarm.db")],
        [sys.executable, "-X", "importtime", *invoke_command("init")[1:]],
    ):
        result = subprocess.run(
            command,
            input="[]",
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env=environment(),
        )
        assert not re.search(r"\| +(numpy|pandas|sqlite_vec)\b", result.stderr)
