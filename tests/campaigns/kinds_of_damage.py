"""Sound databases, and twenty ways to damage their bytes, each reproducible from a seed."""

import random
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.database import make

PAGE = 1024

APPLICATION = f"""
CREATE TABLE mine (a TEXT PRIMARY KEY, b UNIQUE, c) WITHOUT ROWID;
CREATE TABLE other (a INTEGER NOT NULL CHECK (a > 0), b TEXT AS (upper(c)), c TEXT);
CREATE INDEX other_b ON other (b) WHERE a > 5;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO mine SELECT 'key' || i, i, randomblob(i * 60) FROM n;
INSERT INTO other (a, c) SELECT b, a FROM mine;
PRAGMA journal_mode = DELETE;
PRAGMA page_size = {PAGE};
PRAGMA auto_vacuum = {{auto_vacuum}};
VACUUM;
PRAGMA journal_mode = WAL;
DELETE FROM audit WHERE id % 3 > 0;
DELETE FROM mine WHERE b % 4 = 0;
PRAGMA wal_checkpoint(TRUNCATE);
"""

LATER = "UPDATE tasks SET prompt = prompt || ' again', status = 'ready' WHERE rowid % 5 = 0"


class Image(NamedTuple):
    """The bytes of a database and its `-wal`."""

    file: bytes
    wal: bytes = b""


def images(folder: Path) -> list[Image]:
    """Return the sound databases: with and without auto_vacuum, each with and without a `-wal`."""
    found = []
    for auto_vacuum in (0, 1):
        path = folder / f"sound{auto_vacuum}.db"
        make(path, 0.0001)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(APPLICATION.format(auto_vacuum=auto_vacuum))
            found.append(Image(path.read_bytes()))
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute(LATER)
            wal = path.with_name(f"{path.name}-wal").read_bytes()
            found.append(Image(path.read_bytes(), wal))
    return found


Damage = Callable[[random.Random, bytearray, bytearray], None]


def page(chance: random.Random, file: bytearray) -> int:
    """Return the offset of a random page other than the first."""
    return PAGE * chance.randrange(1, len(file) // PAGE)


def pages_of(file: bytearray, *kinds: int) -> list[int]:
    """Return the offsets of all b-tree pages of these kinds (2, 5: interior; 10, 13: leaf)."""
    return [start for start in range(PAGE, len(file), PAGE) if file[start] in kinds]


def one_byte(chance: random.Random, file: bytearray, _: bytearray) -> None:
    file[chance.randrange(len(file))] ^= chance.randrange(1, 256)


def many_bytes(chance: random.Random, file: bytearray, _: bytearray) -> None:
    for _number in range(chance.randrange(2, 50)):
        file[chance.randrange(100, len(file))] = chance.randrange(256)


def file_header(chance: random.Random, file: bytearray, _: bytearray) -> None:
    file[chance.randrange(100)] = chance.randrange(256)


def page_header(chance: random.Random, file: bytearray, _: bytearray) -> None:
    file[page(chance, file) + chance.randrange(12)] = chance.randrange(256)


def cell_pointer(chance: random.Random, file: bytearray, _: bytearray) -> None:
    start = chance.choice(pages_of(file, 2, 5, 10, 13))
    cells = max(1, struct.unpack_from(">H", file, start + 3)[0])
    first = start + (12 if file[start] in (2, 5) else 8)
    place = first + 2 * chance.randrange(cells)
    struct.pack_into(">H", file, place, chance.randrange(PAGE))


def child_pointer(chance: random.Random, file: bytearray, _: bytearray) -> None:
    start = chance.choice(pages_of(file, 2, 5))
    place = start + 8  # the rightmost child; each other one is at the start of its cell
    cells = struct.unpack_from(">H", file, start + 3)[0]
    if cells and chance.random() < 0.7:
        place = start + struct.unpack_from(">H", file, start + 12 + 2 * chance.randrange(cells))[0]
    struct.pack_into(">I", file, place, chance.randrange(len(file) // PAGE + 3))


def overflow_pointer(chance: random.Random, file: bytearray, _: bytearray) -> None:
    # A page that begins with a page number is in an overflow chain, the free list or a pointer map.
    chained = [
        start for start in range(PAGE, len(file), PAGE) if file[start : start + 2] == b"\0\0"
    ]
    number = chance.randrange(len(file) // PAGE + 3)
    struct.pack_into(">I", file, chance.choice(chained), number)


def free_list(chance: random.Random, file: bytearray, _: bytearray) -> None:
    trunk, count = struct.unpack_from(">II", file, 32)
    match chance.randrange(4) if trunk else 0:  # auto_vacuum leaves no free pages
        case 0:
            struct.pack_into(">I", file, 32, chance.randrange(len(file) // PAGE + 3))
        case 1:
            struct.pack_into(">I", file, 36, max(0, count + chance.choice((-2, -1, 1, 2))))
        case 2:
            struct.pack_into(">I", file, (trunk - 1) * PAGE, chance.randrange(len(file) // PAGE))
        case _:
            leaves = max(1, struct.unpack_from(">I", file, (trunk - 1) * PAGE + 4)[0])
            place = (trunk - 1) * PAGE + 8 + 4 * chance.randrange(leaves)
            struct.pack_into(">I", file, place, chance.randrange(len(file) // PAGE + 3))


def zeroed_page(chance: random.Random, file: bytearray, _: bytearray) -> None:
    start = page(chance, file)
    file[start : start + PAGE] = bytes(PAGE)


def random_page(chance: random.Random, file: bytearray, _: bytearray) -> None:
    start = page(chance, file)
    file[start : start + PAGE] = chance.randbytes(PAGE)


def swapped_pages(chance: random.Random, file: bytearray, _: bytearray) -> None:
    one, other = page(chance, file), page(chance, file)
    first, second = file[one : one + PAGE], file[other : other + PAGE]
    file[one : one + PAGE], file[other : other + PAGE] = second, first


def duplicated_page(chance: random.Random, file: bytearray, _: bytearray) -> None:
    one, other = page(chance, file), page(chance, file)
    file[one : one + PAGE] = file[other : other + PAGE]


def truncated(chance: random.Random, file: bytearray, _: bytearray) -> None:
    whole = chance.random() < 0.5
    end = page(chance, file) if whole else chance.randrange(len(file))
    del file[end:]


def extended(chance: random.Random, file: bytearray, _: bytearray) -> None:
    """Append pages that nothing owns, as if a program other than SQLite had crashed."""
    extra = chance.randrange(1, 4)
    file += chance.randbytes(extra * PAGE)
    struct.pack_into(">I", file, 28, len(file) // PAGE)


def pointer_map(chance: random.Random, file: bytearray, _: bytearray) -> None:
    """Damage page 2: the pointer map of an auto_vacuum database, an arbitrary page of others."""
    file[PAGE + chance.randrange(PAGE // 2)] ^= chance.randrange(1, 256)


def wal_bytes(chance: random.Random, _: bytearray, wal: bytearray) -> None:
    for _number in range(chance.randrange(1, 4)):
        if wal:
            wal[chance.randrange(len(wal))] ^= chance.randrange(1, 256)


def wal_cut(chance: random.Random, _: bytearray, wal: bytearray) -> None:
    del wal[chance.randrange(len(wal) + 1) :]


def wal_of_another(chance: random.Random, file: bytearray, wal: bytearray) -> None:
    """Change the file but not its `-wal`, as if only one of the two had been copied."""
    one_byte(chance, file, wal)
    swapped_pages(chance, file, wal)


def shared_root(chance: random.Random, file: bytearray, wal: bytearray) -> None:
    """Give two b-trees one root page, as an application with writable_schema could do."""
    query = "SELECT name FROM sqlite_schema WHERE rootpage > 1 AND sql IS NOT NULL ORDER BY name"
    edit = (
        "UPDATE sqlite_schema SET rootpage ="
        " (SELECT rootpage FROM sqlite_schema WHERE name = ?) WHERE name = ?"
    )
    _edited(file, wal, lambda names: [(edit, tuple(chance.sample(names, 2)))], query)


def lost_entries(chance: random.Random, file: bytearray, wal: bytearray) -> None:
    """Change rows while an index is hidden, as if a program had not maintained the index."""

    def edits(names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
        return [("DELETE FROM sqlite_schema WHERE name = ?", (chance.choice(names),))]

    query = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    rows = (
        f"DELETE FROM tasks WHERE rowid % {chance.randrange(3, 9)} = 0",
        f"UPDATE audit SET timestamp = '2000' WHERE id % {chance.randrange(3, 9)} = 0",
        "UPDATE memory_entries SET is_deleted = 1 - is_deleted, namespace = 'user:x'"
        " WHERE id % 5 = 1",
        "UPDATE other SET c = 'x' || c WHERE a % 7 = 0",
    )
    _edited(file, wal, edits, query, rows)


def _edited(
    file: bytearray,
    wal: bytearray,
    edits: Callable[[list[str]], list[tuple[str, tuple[str, ...]]]],
    query: str,
    rows: Sequence[str] = (),
) -> None:
    """Change the schema with SQL; run the statements `rows`, if any, under it, then restore it."""
    del wal[:]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "edited.db"
        path.write_bytes(file)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            names = [row[0] for row in connection.execute(query)]
            saved = connection.execute("SELECT rowid, * FROM sqlite_schema").fetchall()
            connection.execute("PRAGMA writable_schema = ON")
            for statement, parameters in edits(names):
                connection.execute(statement, parameters)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            for statement in rows:
                connection.execute(statement)
            if rows:
                insert = (
                    "INSERT OR IGNORE INTO sqlite_schema"
                    " (rowid, type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?, ?)"
                )
                connection.executemany(insert, saved)
        file[:] = path.read_bytes()


KINDS: dict[str, Damage] = {
    kind.__name__: kind
    for kind in (
        *(one_byte, many_bytes, file_header, page_header, cell_pointer, child_pointer),
        *(overflow_pointer, free_list, pointer_map, zeroed_page, random_page, swapped_pages),
        *(duplicated_page, truncated, extended, shared_root, lost_entries),
        *(wal_bytes, wal_cut, wal_of_another),
    )
}


def damaged(image: Image, kind: str, seed: int, path: Path) -> None:
    """Write `image` to `path` and its `-wal`, damaged as `kind` and `seed` specify."""
    file, wal = bytearray(image.file), bytearray(image.wal)
    KINDS[kind](random.Random(f"{kind} {seed}"), file, wal)
    write(path, file, wal)


def write(path: Path, file: bytes | bytearray, wal: bytes | bytearray = b"") -> None:
    """Write a database and its `-wal`, replacing the last ones."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(file)
    if wal:
        path.with_name(f"{path.name}-wal").write_bytes(wal)
