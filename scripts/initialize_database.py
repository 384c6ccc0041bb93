#!/usr/bin/env python3
"""Initialize a database and validate its foreign keys."""

import argparse
import asyncio
import sqlite3
import sys

from abathur_schema import AbathurError, Database
from abathur_schema.errors import VERIFY_FAILED, StepError


async def initialize(path: str) -> int:
    """Initialize and validate, print the outcome, and return the exit code."""
    async with Database(path) as database:
        print("Database initialized successfully")
        violations = await database.validate_foreign_keys()
    if not violations:
        print("Foreign key validation: PASSED")
        return 0
    print(f"WARNING: foreign key violations: {len(violations)}")
    for table, rowid, parent, key in violations:
        print(
            f"  row {rowid} of {table} references a row of {parent} that does not exist (key {key})"
        )
    return VERIFY_FAILED


def main() -> int:
    """0: all is well; 1: violations; 2: wrong input; 3: a step failed, or SQLite did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", default="abathur.db", metavar="PATH")
    try:
        return asyncio.run(initialize(parser.parse_args().path))
    except AbathurError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except sqlite3.Error as error:
        print(f"the database cannot be read: {error}", file=sys.stderr)
        return StepError.exit_code


if __name__ == "__main__":
    sys.exit(main())
