"""Read damaged databases made by others: the files that SQLite itself is tested with.

They are in SQLite's source, in `test/fuzzdata3.db` (2,316 files) and `test/fuzzdata7.db` (8,145,
each made by a fuzzer looking for crashes). On Debian: `apt-get source sqlite3`.
"""

import argparse
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--corpus`, which names such collections."""
    parser.add_argument(
        "--corpus",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="take the files in test/fuzzdata3.db and fuzzdata7.db of SQLite's source instead",
    )


def files(collections: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield each database file in the collections, after the name of its collection.

    A collection has the format of SQLite's `fuzzcheck`: a table `db` with the columns `dbid` and
    `dbcontent`. Raises sqlite3.Error if one does not.
    """
    for collection in collections:
        uri = f"{collection.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            for (content,) in connection.execute("SELECT dbcontent FROM db ORDER BY dbid"):
                yield collection.name, bytes(content)
