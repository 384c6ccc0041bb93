"""What only a cluster needs: to put the database of a file in its place."""

import tempfile
import time
from contextlib import closing
from pathlib import Path

from ..declared.declaration import RESTORE
from ..errors import UsageError
from ..interruption import stop_if_asked
from ..place import Address
from ..planning.statement import Attempt, Step
from ..progress import Progress
from ..record.preserved import keep_copy
from ..record.run import Run
from ..storage.connection import read_back
from ..storage.rqlite import Nodes
from .restore import prove, replaced_by, stage

BETWEEN = (
    "a cluster cannot be locked: what is written between the copy of the old database and the load"
    " of the new one is in neither. Stop the applications first"
)


def restore_into_cluster(
    run: Run, address: Address, state: Path, folder: Path | None, progress: Progress
) -> Step:
    """Replace the database of all nodes by that of `state`; what was there is kept in `folder`.
    Without one it is a rehearsal. Raises UsageError when `state` is not usable.
    """
    started = time.perf_counter()
    attempt = Attempt()
    statement = replaced_by(state, address)
    try:
        with tempfile.TemporaryDirectory() as name:
            staged = Path(name) / "database.db"
            progress.now(f"{RESTORE}: checking {state}")
            stage(state, staged, staged)
            prove(staged, state, run.declared, attempt.notes)
            if folder is None:
                attempt.notes.append(
                    f"a rehearsal: the state is intact and would take the place of {address};"
                    f" {BETWEEN}"
                )
            else:
                progress.now(f"{RESTORE}: keeping {address}")
                keep_copy(run, folder)
                stop_if_asked()
                attempt.running = statement
                with closing(Nodes(address)) as nodes:
                    nodes.load(staged)
                attempt.ran.append(statement)
                attempt.notes.append(BETWEEN)
                attempt.running = None
    except UsageError:
        raise
    except Exception as error:  # of any kind: the report tells
        attempt.error = error
    run.live = read_back(address, run.declared.settings)
    return Step(RESTORE, [attempt], (time.perf_counter() - started) * 1000)
