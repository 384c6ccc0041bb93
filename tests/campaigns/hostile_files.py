"""Database files designed to harm whoever reads them."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"


def schema(sql: str) -> Callable[[Path], None]:
    """Return a function that creates a database by running `sql`."""

    def make(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(sql)

    return make


def changed(sql: str, change: str, *parameters: str) -> Callable[[Path], None]:
    """Like `schema`, with the rows of sqlite_schema changed behind SQLite's back."""

    def make(path: Path) -> None:
        schema(sql)(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(f"UPDATE sqlite_schema SET {change}", parameters)

    return make


def edited(sql: str, old: str, new: str) -> Callable[[Path], None]:
    """Like `schema`, with some text of the schema replaced."""
    return changed(sql, "sql = replace(sql, ?, ?)", old, new)


def endless_tree(path: Path) -> None:
    """Create a table whose pages point to each other so that a scan would never end: on each of
    sixteen levels, all seven children of a page are the same page. With more children, SQLite would
    find a hundred faults and stop; with more levels, it would find the tree too deep.
    """
    size, levels, children = 4096, 16, 6
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            "CREATE TABLE tasks (id TEXT, prompt); CREATE TABLE fill (x);"
            f"{NUMBERS} INSERT INTO fill SELECT zeroblob(4000) FROM n;"
            "INSERT INTO tasks VALUES ('a', 'b'); DROP TABLE fill"
        )
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'tasks'"
        ).fetchone()
    content = bytearray(path.read_bytes())
    leaf = content[(root - 1) * size : root * size]
    pages = [root, *range(root + 1, root + levels)]  # free pages of the dropped table
    for level, page in enumerate(pages[:-1]):
        start, child = (page - 1) * size, pages[level + 1]
        cells = b"".join(child.to_bytes(4, "big") + bytes([n + 1]) for n in range(children))
        first = size - len(cells)
        header = b"\x05\0\0" + children.to_bytes(2, "big") + first.to_bytes(2, "big") + b"\0"
        pointers = b"".join((first + 5 * n).to_bytes(2, "big") for n in range(children))
        body = header + child.to_bytes(4, "big") + pointers
        content[start : start + size] = body.ljust(first, b"\0") + cells
    start = (pages[-1] - 1) * size
    content[start : start + size] = leaf
    path.write_bytes(content)


def planted_journal(path: Path) -> None:
    """Create a hot `-journal` that makes SQLite delete another file."""
    victim = path.parent / "victim"
    source = path.with_name("source.db")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE t (x); PRAGMA cache_size = 1; BEGIN IMMEDIATE;")
        for _ in range(200):
            connection.execute("INSERT INTO t VALUES (randomblob(3000))")
        shutil.copy(source, path)
        journal = source.with_name("source.db-journal").read_bytes()
    source.unlink()
    name = str(victim).encode()
    tail = (2**30 // 4096 + 1).to_bytes(4, "big") + name + len(name).to_bytes(4, "big")
    tail += (sum(name) & 0xFFFFFFFF).to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7")
    path.with_name(f"{path.name}-journal").write_bytes(journal + tail)


def huge_page_count(path: Path) -> None:
    """Create a database whose header claims a file of 4 billion pages."""
    schema("CREATE TABLE tasks (id)")(path)
    content = bytearray(path.read_bytes())
    content[28:32] = b"\xff\xff\xff\xfe"
    content[36:40] = b"\x7f\xff\xff\xff"
    path.write_bytes(content)


MADE: dict[str, Callable[[Path], None]] = {
    "a view that calls itself": edited(
        "CREATE TABLE t (x); CREATE VIEW tasks AS SELECT * FROM t", "FROM t", "FROM tasks"
    ),
    "a view without end": schema(
        "CREATE VIEW tasks AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT i FROM n"
    ),
    "a trigger on every table": schema(
        "CREATE TABLE tasks (id TEXT PRIMARY KEY);"
        "CREATE TRIGGER t AFTER INSERT ON tasks BEGIN DELETE FROM tasks; END"
    ),
    "a generated column of a gigabyte": edited(
        "CREATE TABLE t (x, y AS (hex(zeroblob(x)))); INSERT INTO t (x) VALUES (4), (5), (6);"
        "CREATE INDEX i ON t (y)",
        "zeroblob(x)",
        "zeroblob(x + 400000000)",
    ),
    "a CHECK of a gigabyte": edited(
        "CREATE TABLE t (x CHECK (length(x) > 0)); INSERT INTO t VALUES (1), (2)",
        "length(x)",
        "length(hex(zeroblob(x + 400000000)))",
    ),
    "an index on an expensive expression": edited(
        f"CREATE TABLE t (x); {NUMBERS} INSERT INTO t SELECT i FROM n;"
        "CREATE INDEX i ON t (length(x))",
        "length(x)",
        "length(replace(hex(zeroblob(2000000)), '0', 'abcdefgh'))",
    ),
    "a CHECK with a slow pattern": edited(
        "CREATE TABLE t (x CHECK (x LIKE 'a')); INSERT INTO t VALUES ('a')",
        "'a'",
        "'" + "%a" * 6 + "b' OR replace(hex(zeroblob(30)), '0', 'a') LIKE '" + "%a" * 6 + "b'",
    ),
    "a CHECK that loads an extension": edited(
        "CREATE TABLE t (x CHECK (length(x))); INSERT INTO t VALUES (1)",
        "length(x)",
        "load_extension('/tmp/evil.so')",
    ),
    "a DEFAULT that loads an extension": edited(
        "CREATE TABLE t (x, y DEFAULT (length('x'))); INSERT INTO t VALUES (1, 2)",
        "length('x')",
        "load_extension('/tmp/evil.so')",
    ),
    "an expression three thousand levels deep": edited(
        "CREATE TABLE t (x CHECK (x)); INSERT INTO t VALUES (1)",
        "(x)",
        "(" * 3000 + "x" + ")" * 3000,
    ),
    "two thousand columns": schema(
        "CREATE TABLE tasks (" + ", ".join(f"c{n} CHECK (c{n} > 0)" for n in range(1999)) + ")"
    ),
    "a thousand tables": schema("".join(f"CREATE TABLE t{n} (x UNIQUE);" for n in range(1000))),
    "names as long as a file": schema(f'CREATE TABLE "{"n" * 500_000}" ("{"c" * 500_000}" UNIQUE)'),
    "names that a terminal obeys": schema(
        'CREATE TABLE "\x1b[2J\x1b]0;owned\x07\r" (x); CREATE VIEW "a\x9b31m" AS SELECT 1;'
    ),
    "names made of SQL": schema(
        """CREATE TABLE "t""); DROP TABLE tasks; --" ("x"" UNIQUE, ""y" UNIQUE);
        CREATE TABLE "'); ATTACH 'evil.db' AS e; --" (x);
        CREATE INDEX "i""; DELETE FROM sqlite_schema; --" ON "'); ATTACH 'evil.db' AS e; --" (x)"""
    ),
    "a virtual table of no module": edited(
        "CREATE TABLE t (x); CREATE VIRTUAL TABLE v USING fts5(x)", "fts5", "csv"
    ),
    "a virtual table with broken tables below": schema(
        "CREATE VIRTUAL TABLE v USING fts5(x); INSERT INTO v VALUES ('a b c');"
        "UPDATE v_data SET block = zeroblob(5); DELETE FROM v_config"
    ),
    "a virtual table that reads the whole file": schema(
        "CREATE VIRTUAL TABLE tasks USING dbstat(main)"
    ),
    "poisoned statistics": schema(
        "CREATE TABLE tasks (id TEXT PRIMARY KEY, status); CREATE INDEX i ON tasks (status);"
        "ANALYZE; INSERT INTO sqlite_stat1 VALUES ('tasks', 'i', '99999999999999999999 -1 x'),"
        " ('tasks', zeroblob(99999), zeroblob(99999)), (NULL, NULL, NULL)"
    ),
    "parents in a circle": schema(
        "CREATE TABLE tasks (id TEXT PRIMARY KEY REFERENCES agents);"
        "CREATE TABLE agents (id TEXT PRIMARY KEY REFERENCES tasks);"
        "INSERT INTO tasks VALUES ('a')"
    ),
    "a table under a name of SQLite's": edited("CREATE TABLE t (x)", "TABLE t", "TABLE sqlite_t"),
    "a table that is a query": edited(
        "CREATE TABLE tasks (x)", "tasks (x)", "tasks AS SELECT randomblob(9)"
    ),
    "a schema whose text is a BLOB": changed(
        "CREATE TABLE tasks (x); CREATE INDEX i ON tasks (x)", "sql = CAST(sql AS BLOB)"
    ),
    "a schema with a second statement in its text": changed(
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY, own UNIQUE)",
        "sql = sql || '; DROP TABLE metrics'",
    ),
    "a table that answers for SQLite": schema(
        "CREATE TABLE pragma_quick_check (quick_check); CREATE TABLE pragma_table_list (name)"
    ),
    "a view without end that answers for SQLite": schema(
        "CREATE VIEW pragma_quick_check AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
        " FROM n) SELECT i AS quick_check FROM n"
    ),
    "a schema in other letter case": changed(
        "CREATE TABLE tasks (x)", "type = 'tAble', name = 'TASKS', tbl_name = 'TASKS'"
    ),
    "pages that point to each other without end": endless_tree,
    "a journal that has a file deleted": planted_journal,
    "a header that promises too much": huge_page_count,
}
"""The function that creates the file at a path, by kind."""
