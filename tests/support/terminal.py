"""Run `invoke` on a terminal, to see what it shows a person."""

import os
import pty
import subprocess
from pathlib import Path

from tests.support.commands import ROOT, environment, invoke_command


def start_on_terminal(
    folder: Path, task: str, root: Path = ROOT, kind: str = "xterm"
) -> tuple[subprocess.Popen[bytes], int]:
    """Start `invoke TASK` on a new terminal of a kind (TERM); return the process and our end of the
    terminal.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        invoke_command(task, root=root),
        cwd=folder,
        env=environment(root, TERM=kind),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_all(terminal: int) -> str:
    """Return everything shown until the process ends, and close the terminal."""
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # Linux: the other end is closed
        pass
    os.close(terminal)
    return shown.decode()
