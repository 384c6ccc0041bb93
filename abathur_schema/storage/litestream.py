"""Litestream, which streams a copy of a database elsewhere, and makes its checkpoints meanwhile."""

import os
from contextlib import suppress
from pathlib import Path

from ..declared.declaration import Declared
from ..errors import UsageError

AUTOCHECKPOINT = "wal_autocheckpoint"


def beside(database: Path, declared: Declared) -> Declared:
    """What is declared for a database that Litestream may replicate: beside its folder, no commit
    of ours makes a checkpoint, because one at the wrong moment spoils the copy (Litestream's
    documentation, "Tips & Caveats", section "Disable autocheckpoints for high write load servers").
    """
    # The path in its configuration may be a link to that of the application, or the other way.
    paths = {database}
    with suppress(ValueError, OSError):  # no path at all, as others will say
        paths.add(Path(os.path.realpath(database)))
    if not any(map(_has_folder, paths)):
        return declared
    settings = (
        one._replace(value="0", statement=f"PRAGMA {AUTOCHECKPOINT} = 0")
        if one.name == AUTOCHECKPOINT
        else one
        for one in declared.settings
    )
    return declared._replace(settings=tuple(settings))


def _has_folder(database: Path) -> bool:
    try:
        return database.with_name(f".{database.name}-litestream").is_dir()
    except (OSError, ValueError):  # such as a name that is too long: there can be none
        return False


def leave_log_to_litestream(database: Path) -> None:
    """Raise UsageError while a Litestream that this user can see has the database open."""
    from .processes import named, processes_with  # a look at the folder does not pay for it

    for process in processes_with(database):
        with suppress(OSError):
            if Path("/proc", str(process), "comm").read_text("utf-8") == "litestream\n":
                raise UsageError(
                    f"{named(process)} replicates {database}, and makes its checkpoints: another's"
                    " can spoil the copy, and nothing would say so. Stop it, run the same command"
                    " again, and start it again: it catches up; nothing was touched."
                )
