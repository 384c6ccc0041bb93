"""Test that `verify` finds all that SQLite's whole-file integrity_check and foreign_key_check do.

    .venv/bin/python -m tests.campaigns.damage --cases 6000
    .venv/bin/python -m tests.campaigns.damage --corpus fuzzdata3.db fuzzdata7.db

The first damages copies of four sound databases, with a seed for each case; the second uses files
that others damaged. The tables that they print are in docs/reliability.md.
"""

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from abathur_schema.declared.declaration import declared
from abathur_schema.progress import Progress
from abathur_schema.proof.verification import verify
from abathur_schema.storage import snapshot
from tests.campaigns import corpus
from tests.campaigns.kinds_of_damage import KINDS, damaged, images, write

PROOFS = ("integrity_check", "foreign_key_check", "the database can be read")
"""The checks of `verify` that correspond to SQLite's two. Findings of others do not count here."""


def put(cases: int, collections: Sequence[Path] | None, path: Path) -> Iterator[str]:
    """Write one damaged file after another to `path`, and yield its kind: `cases` files damaged
    here, or all files in the collections. Half of them are read as if they were large: by several
    connections, and memory-mapped if sound.
    """
    if collections:
        for number, (name, content) in enumerate(corpus.files(collections)):
            snapshot.LARGE = 0 if number % 2 else 1 << 40
            write(path, content)
            yield name
        return
    sound = images(path.parent)
    for number in range(cases):
        seed, kind_number = divmod(number, len(KINDS))
        kind = list(KINDS)[kind_number]
        snapshot.LARGE = 0 if seed // len(sound) % 2 else 1 << 40
        damaged(sound[seed % len(sound)], kind, seed, path)
        yield kind


def found_by_sqlite(path: Path) -> bool:
    """Return whether SQLite's whole-file checks find anything, or cannot finish."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            whole = connection.execute("PRAGMA integrity_check").fetchall()
            return whole != [("ok",)] or bool(
                connection.execute("PRAGMA foreign_key_check").fetchone()
            )
    except (sqlite3.Error, UnicodeDecodeError):
        return True


def found_by_verify(path: Path) -> bool:
    """Return whether the checks of `verify` that correspond to SQLite's find anything."""
    checks = verify(path, declared(), Progress(None)).checks
    return any(check.status == "fail" and check.name in PROOFS for check in checks)


def main() -> int:
    """Damage, compare, and print the table; return 1 if `verify` misses what SQLite finds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=6000, help="how many (default: 6000)")
    corpus.add_option(parser)
    arguments = parser.parse_args()
    counts: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "damaged.db"
        for number, kind in enumerate(put(arguments.cases, arguments.corpus, path)):
            theirs, ours = found_by_sqlite(path), found_by_verify(path)
            row = counts.setdefault(kind, [0, 0, 0, 0])
            for column, counted in enumerate((True, theirs, ours, theirs and not ours)):
                row[column] += counted
            if theirs and not ours:
                print(f"missed: {kind}, number {number}", file=sys.stderr)
    total = [sum(column) for column in zip(*counts.values(), strict=True)]
    print(f"SQLite {sqlite3.sqlite_version}\n")
    print("| damage | cases | found by SQLite | found by `verify` | missed |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for kind, row in [*counts.items(), ("all", total)]:
        print(f"| {kind.replace('_', ' ')} | {' | '.join(map(str, row))} |")
    return 1 if total[3] else 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
