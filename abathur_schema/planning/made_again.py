"""Create again what DROP deletes along with a table or a view; rename beside what SQLite cannot
parse.
"""

from collections.abc import Iterator, Sequence

from ..schema.difference import kind_of
from ..schema.model import Index, Schema, Trigger, View
from ..schema.text import TOKEN, utf8, without_attached_name
from .statement import Statement


def triggers_again(live: Schema, of: str) -> Iterator[Statement]:
    """The statements that recreate the triggers of the table or view `of`."""
    for trigger in live.triggers_on(of):
        yield from again(live, trigger)


def again(live: Schema, thing: Index | View | Trigger, table: str = "") -> Iterator[Statement]:
    """The statements that recreate one thing, byte for byte; `table` is the one that it scans."""
    kind = kind_of(thing)
    said = in_one(utf8(thing.sql))
    if kind == "trigger":
        said = without_attached_name(said)
    yield Statement(_ended(said), f"{kind} {thing.name} was there", table=table)
    if said != thing.sql:
        from .by_text import by_text  # hardly a text needs it

        reason = Statement("", "and its text is as it was written")
        yield from by_text(live, kind, thing.name, thing.sql, reason)


def passing_over(indexes: Sequence[Index], statements: Sequence[Statement]) -> list[Statement]:
    """The statements, which rename something, so that SQLite passes over indexes that it cannot
    parse (from 3.38 on).
    """
    if not indexes:
        return [*statements]
    names = ", ".join(f"index {one.name}" for one in indexes)
    reason = f"renaming passes over {names}, which only the application can use"
    return [
        Statement("PRAGMA writable_schema = ON;", reason),
        *statements,
        Statement("PRAGMA writable_schema = OFF;", "for that renaming alone"),
    ]


def in_one(sql: str) -> str:
    """The statement without a line that begins with `/` or `go`: alone on a line, or before a
    comment, the sqlite3 command line takes it as a semicolon.
    """
    parts: list[str] = []
    end = last = 0
    for one in TOKEN.finditer(sql):
        if one.lastgroup != "space":
            if one.group().lower() in ("/", "go") and "\n" in sql[last : one.start()]:
                parts += sql[end:last], " "
                end = one.start()
            last = one.end()
    return "".join([*parts, sql[end:]])


def _ended(sql: str) -> str:
    """The statement with its semicolon, safe from a comment at its end."""
    last = next((one.group() for one in reversed(list(TOKEN.finditer(sql)))), "")
    if last.startswith("/*") and (len(last) < 4 or not last.endswith("*/")):
        return f"{sql} */;"
    return f"{sql}\n;" if last.startswith("--") else f"{sql};"
