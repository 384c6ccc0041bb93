"""A terminal, to see what `invoke` shows a person."""

import os
import pty
import subprocess
from pathlib import Path

from tests.support.commands import ROOT, environment, invoke_command


def start_on_terminal(
    folder: Path, task: str, root: Path = ROOT
) -> tuple[subprocess.Popen[bytes], int]:
    """Start `invoke TASK` on a new terminal; returns the process and our end of the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        invoke_command(task, root=root),
        cwd=folder,
        env=environment(root, TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_all(terminal: int) -> str:
    """All that is shown until the process ends; closes the terminal."""
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # Linux: the other end is closed
        pass
    os.close(terminal)
    return shown.decode()
