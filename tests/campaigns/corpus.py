"""Damaged databases that others have made: the files with which SQLite itself is tested.

SQLite's source has them in `test/fuzzdata3.db` (2,316 files) and `test/fuzzdata7.db` (8,145, each
made by a fuzzer that looked for crashes); Debian has the source as `apt-get source sqlite3`.
"""

import argparse
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path


def add_option(parser: argparse.ArgumentParser) -> None:
    """The option that names such collections."""
    parser.add_argument(
        "--corpus",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="take the files in test/fuzzdata3.db and fuzzdata7.db of SQLite's source instead",
    )


def files(collections: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Each database file in the collections, with the name of its collection.

    They are in the form of SQLite's own `fuzzcheck`: a table `db` with the columns `dbid` and
    `dbcontent`. Raises sqlite3.Error where one is not.
    """
    for collection in collections:
        uri = f"{collection.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            for (content,) in connection.execute("SELECT dbcontent FROM db ORDER BY dbid"):
                yield collection.name, bytes(content)
