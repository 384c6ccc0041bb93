"""`docs`: the schema as a document, of `sql/` or of a database."""

from contextlib import closing
from pathlib import Path

from ..declared.declaration import Declared
from ..errors import UsageError
from ..presentation.schema_page import schema_page
from ..presentation.tables import alone, tables
from ..schema.reading import read_schema
from ..storage.connection import connect, undisturbed
from ..storage.durable_files import new_file
from ..wording import as_called
from .reading import readable

DEFAULT = "docs/schema.md"
"""Where the page of `sql/` is written, below the working directory."""

OF_SQL = (
    "Written by `invoke docs` from `sql/` and `checks/`: the comments are those of `sql/`, and an"
    " index serves the queries of `checks/` that name it. A test fails when this page is stale."
)


def of_declared(declared: Declared) -> str:
    """The page of what is declared."""
    found = tables(declared, declared.schema)
    return schema_page("The schema", as_called(OF_SQL), found)


def of_database(database: Path, declared: Declared) -> str:
    """The page of what a database has. Raises UsageError when it cannot be read."""
    return readable(database, lambda: undisturbed(database, lambda: _read(database, declared)))


def _read(database: Path, declared: Declared) -> str:
    with closing(connect(database, "ro", declared.settings)) as connection:
        live = read_schema(connection)
    wanted = declared.chosen(live)
    is_ours = any(name in live.tables for name in wanted.schema.tables)
    found = tables(wanted, live) if is_ours else alone(live)
    said = f"The schema of `{database.name.replace('`', '')}`, written by `invoke docs`."
    return schema_page(database.name, as_called(said), found)


def write(page: str, path: Path) -> bool:
    """Write the page, unless the file has it already; returns whether it was written. Raises
    UsageError.
    """
    content = page.encode("utf-8", "backslashreplace")
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        with new_file(path) as file:
            file.write(content)
        path.chmod(mode)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}. Name another file, with --output PATH."
        ) from error
    return True
