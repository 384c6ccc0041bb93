#!/usr/bin/env python3
"""Initialize a database and validate its foreign keys."""

import argparse
import asyncio
import signal
import sqlite3
import sys

from abathur_schema import AbathurError, Database
from abathur_schema.commands.output import say, say_wrong
from abathur_schema.errors import VERIFY_FAILED, Interrupted, StepError


async def initialize(path: str) -> int:
    """Initialize and validate, print the outcome, and return the exit code."""
    async with Database(path) as database:
        say("Database initialized successfully")
        violations = await database.validate_foreign_keys()
    if not violations:
        say("Foreign key validation: PASSED")
        return 0
    say(f"WARNING: foreign key violations: {len(violations)}")
    for table, rowid, parent, key in violations:
        if key is None:
            say(f"  {table} references columns of {parent} that do not exist or are not unique")
        else:
            say(
                f"  row {rowid} of {table} references a row of {parent} that does not exist"
                f" (key {key})"
            )
    return VERIFY_FAILED


def main() -> int:
    """0: all is well; 1: violations; 2: wrong input; 3: a step or SQLite failed; 130: Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", default="abathur.db", metavar="PATH")
    try:
        return asyncio.run(initialize(parser.parse_args().path))
    except KeyboardInterrupt:
        stopped = Interrupted(signal.SIGINT)
        say_wrong(str(stopped))
        return stopped.exit_code
    except AbathurError as error:
        say_wrong(str(error))
        return error.exit_code
    except sqlite3.Error as error:
        say_wrong(f"the database cannot be read: {error}")
        return StepError.exit_code


if __name__ == "__main__":
    sys.exit(main())
