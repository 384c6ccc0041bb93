"""What a test needs from the machine: commands, root, strace, a separate disk.

A test is skipped where what it needs is missing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other users need root")


def need(*commands: str) -> None:
    """Skip the test unless all of these commands are installed."""
    missing = [command for command in commands if not shutil.which(command)]
    if missing:
        pytest.skip(f"not here: {', '.join(missing)}")


def need_strace() -> None:
    """Skip the test unless strace is installed and permitted to trace."""
    need("strace")
    trial = ["strace", "-o", os.devnull, "true"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")


@contextmanager
def disk_of(size: int, folder: Path) -> Iterator[Path]:
    """Mount a file system of `size` bytes at `folder`, and unmount it afterwards."""
    need("mount", "umount")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def python_with_extensions() -> str:
    """A Python of the same version that can load SQLite's extensions; the test is skipped if there
    is none.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for command in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        trial = [command, "-c", "import sqlite3; sqlite3.Connection.enable_load_extension"]
        with suppress(OSError):
            if not subprocess.run(trial, capture_output=True, check=False).returncode:
                return command
    pytest.skip("no Python here can load SQLite's extensions")
