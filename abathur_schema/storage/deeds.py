"""What a statement does, and what of it a cluster cannot do."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import BatchError
from ..schema.text import Token, fold, no_query, tokens

IN_MEMORY = {
    *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"),
    *("foreign_key_list", "pragma_list", "function_list", "module_list", "collation_list"),
    *("database_list", "schema_version", "encoding", "query_only", "cache_size", "page_count"),
    *("page_size", "trusted_schema", "cell_size_check", "legacy_alter_table", "foreign_keys"),
    *("busy_timeout", "synchronous", "wal_autocheckpoint", "data_version", "temp_store"),
}
"""The pragmas that are about the schema, or only about this connection."""

OF_PAGES = {"page_count", "data_version"}
"""Those of them that are about the copy in memory, and would not be what was meant."""

OF_THE_SCHEMA = {"sqlite_master", "sqlite_schema", *(f"pragma_{name}" for name in IN_MEMORY)}


LEFT_OUT = {
    "settings": "each node of a cluster has its own connection, with its own settings",
    "file": "each node of a cluster has its own file: to check one, take a copy (`invoke backup`)",
    "writing": "it needs temporary tables, and a cluster has none",
}

HELD_OPEN = (
    "a cluster holds no transaction open between two requests. Collect the writes in"
    " `async with db.transaction() as conn`: they are sent as one request when it ends"
)
READ_FIRST = (
    "a transaction on a cluster reads first and then writes: its writes are sent together when it"
    " is committed. Read before the first write, or after the commit"
)
NOT_KNOWN_YET = (
    "what a write returns is known when it is committed. Leave out RETURNING, and read it"
    " afterwards"
)
TOO_LARGE = "a transaction on a cluster cannot count on so large a result. Read it outside of one"
NODES_DIFFER = (
    "{} would give another value on each node of the cluster. Compute it in the application, and"
    " give it as a parameter"
)
REBUILD = (
    "this makes a table anew, for which foreign keys must be off, and on a cluster they cannot be"
    " for one transaction alone"
)
OF_A_FILE = "{} is about one file, and a cluster has one on each node: ask it of the nodes"
COPY = "only the schema of a cluster is here. `invoke backup` makes a copy of all of it"
OF_A_CONNECTION = {"last_insert_rowid", "changes", "total_changes"}
NO_LAST = "{}() is about one connection, and a cluster has none of yours. Read the row by its key"
TEMPORARY = "a cluster has no temporary tables: what one client makes, all would have"

NEVER = {
    **dict.fromkeys(("savepoint", "release"), HELD_OPEN),
    **{verb: OF_A_FILE.format(verb.upper()) for verb in ("vacuum", "attach", "detach")},
}
"""What a cluster cannot do, by the first word of the statement."""


class Deeds(NamedTuple):
    """What a statement does: it reads rows, writes rows, or changes the schema."""

    reads: bool
    writes: bool
    defines: bool


def refuse(words: Sequence[Token], *, is_lent: bool) -> None:
    """Raise BatchError for a statement that no cluster can run. To an application, a connection
    `is_lent`: it cannot say when a transaction begins.
    """
    verb, *more = [word.text for word in words] or [""]
    if verb in NEVER:
        raise BatchError(NEVER[verb])
    if (verb == "begin" and is_lent) or (verb == "rollback" and "to" in more):
        raise BatchError(HELD_OPEN)
    if verb == "pragma" and more[:1] == ["foreign_keys"] and {*more} & {"0", *OFF}:
        raise BatchError(REBUILD)


OFF = ("off", "no", "false")


def deeds_in(sql: str, seen: Sequence[tuple[int, str]]) -> Deeds:
    """What a statement does, from what SQLite asks the authorizer as it prepares it. Raises
    BatchError for a temporary table, and for what is about one connection.
    """
    changes = (
        *(sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE),
        sqlite3.SQLITE_REINDEX,
    )
    written = {fold(name) for action, name in seen if action in changes}
    read = {fold(name) for action, name in seen if action == sqlite3.SQLITE_READ}
    for action, name in seen:
        if action == sqlite3.SQLITE_FUNCTION and fold(name) in OF_A_CONNECTION:
            raise BatchError(NO_LAST.format(name))
    reads = bool(read - OF_THE_SCHEMA)
    if not no_query(sql):
        return Deeds(reads, writes=False, defines=False)
    if any(action in OF_TEMPORARY for action, _ in seen):
        raise BatchError(TEMPORARY)
    # To read a pragma function, SQLite declares it as a table.
    is_declared = any(name.startswith("pragma_") for name in read)
    verb = tokens(sql)[0].text
    defines = "sqlite_master" in written and (not is_declared or verb in DEFINING)
    return Deeds(reads, bool(written), defines)


DEFINING = ("create", "alter", "drop")

OF_TEMPORARY = (
    *(sqlite3.SQLITE_CREATE_TEMP_TABLE, sqlite3.SQLITE_CREATE_TEMP_VIEW),
    *(sqlite3.SQLITE_CREATE_TEMP_TRIGGER, sqlite3.SQLITE_CREATE_TEMP_INDEX),
)
