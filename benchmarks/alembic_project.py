"""A minimal Alembic project for comparison."""

from pathlib import Path

INI = """\
[alembic]
script_location = {folder}
sqlalchemy.url = sqlite:///{database}
"""

ENV = """\
from alembic import context
from sqlalchemy import engine_from_config, pool

section = context.config.get_section(context.config.config_ini_section)
engine = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def write(folder: Path, database: Path, version: str) -> Path:
    """Write a project with one migration into `folder`; returns the path of its ini file."""
    (folder / "versions").mkdir(parents=True)
    ini = INI.format(folder=folder.as_posix(), database=database.as_posix())
    (folder / "alembic.ini").write_text(ini.replace("%", "%%"), "utf-8")
    (folder / "env.py").write_text(ENV, "utf-8")
    (folder / "versions" / "version.py").write_text(version, "utf-8")
    return folder / "alembic.ini"
