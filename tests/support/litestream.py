"""Litestream, the real binary, an S3 server for it (rclone) that runs here, and who writes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

import pytest

BUCKET, KEY, SECRET = "copies", "a-key-of-the-tests", "a-secret-of-the-tests"
LONGEST = 30
"""Seconds until something that is waited for has failed."""

Replica = Mapping[str, object]
"""What a configuration file says about the place of a replica."""

WRITER = """
import itertools, select, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("PRAGMA wal_autocheckpoint = 0")
for number in itertools.count(1):
    connection.execute(
        "INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('t', 'n', ?)", (number,)
    )
    print(number, flush=True)
    if select.select([sys.stdin], [], [], 0.002)[0]:
        break
"""
"""An application that writes row after row; it says which are committed."""


def command(name: str) -> str:
    """The path of a command beside this Python or on the PATH; the test is skipped without it."""
    found = shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)
    if not found:
        pytest.skip(f"not here: {name} (pip install {name}-bin)")
    return found


def variables() -> dict[str, str]:
    """The environment without what the user set for S3 and for proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "LITESTREAM_", "RCLONE_"))
        and not name.lower().endswith("_proxy")
    }


@contextmanager
def s3_server(folder: Path) -> Iterator[Replica]:
    """An S3 server with one bucket, whose objects are files below `folder`; yields a replica."""
    (folder / BUCKET).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
    serve = ["serve", "s3", "--config", "", "--addr", address, "--auth-key", f"{KEY},{SECRET}"]
    with subprocess.Popen(
        [command("rclone"), *serve, str(folder)], env=variables(), stderr=subprocess.PIPE
    ) as server:
        try:
            until(lambda: _answers(address))
            yield {
                "type": "s3",
                "bucket": BUCKET,
                "path": "swarm",
                "endpoint": f"http://{address}",
                "region": "us-east-1",
                "force-path-style": True,
                "access-key-id": KEY,
                "secret-access-key": SECRET,
            }
        finally:
            server.kill()


def _answers(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as tried:
        return tried.connect_ex((host, int(port))) == 0


class Writer:
    """An application that writes inside the `with`; `committed` is then the number of its rows."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.committed = 0

    def __enter__(self) -> "Writer":
        """Start it, and wait for its first row."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(self.database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.more(1)
        return self

    def more(self, rows: int) -> None:
        """Wait for more rows."""
        assert self.process.stdout
        for _ in range(rows):
            self.committed = int(self.process.stdout.readline())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Have it end, or kill it after an error."""
        if error:
            self.process.kill()
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.write("end")
            self.process.stdin.close()
        rest = self.process.stdout.read().split()
        self.committed = int(rest[-1]) if rest else self.committed
        self.process.stdout.close()
        self.process.wait(LONGEST)


class Litestream:
    """Litestream beside one database; inside the `with`, it replicates."""

    def __init__(self, database: Path, folder: Path, replica: Replica) -> None:
        self.database = database
        self.folder = folder
        self.configuration = folder / "litestream.yml"
        self.socket = folder / "litestream.sock"
        self.log = folder / "litestream.log"
        settings = {
            "socket": {"enabled": True, "path": str(self.socket)},
            "dbs": [{"path": str(database), "replica": {**replica, "sync-interval": "100ms"}}],
        }
        self.configuration.write_text(json.dumps(settings))  # JSON is YAML
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Litestream":
        """Start it, and wait until all that is there has reached the replica."""
        replicate = [command("litestream"), "replicate", "-config", str(self.configuration)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(replicate, env=variables(), stdout=log, stderr=log)
        try:
            until(lambda: self.socket.exists() and self._ask("sync", "-wait").returncode == 0)
        except BaseException:
            self.end(signal.SIGKILL)
            print(self.log.read_text()[-4000:])
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it; it syncs once more."""
        self.end(signal.SIGTERM)

    def end(self, how: signal.Signals) -> None:
        """Send a signal, and wait for its end."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(LONGEST)
            self.process = None
            self.socket.unlink(missing_ok=True)

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self.process
        return self.process.pid

    def sync(self) -> datetime:
        """Wait until what is committed has reached the replica; returns the time then."""
        result = self._ask("sync", "-wait", "-timeout", str(LONGEST))
        assert result.returncode == 0, result.stderr + self.log.read_text()[-4000:]
        return datetime.now(timezone.utc)

    def _ask(self, *what: str) -> subprocess.CompletedProcess[str]:
        task, *options = what
        socket_path = ["-socket", str(self.socket)]
        return litestream(task, *socket_path, *options, str(self.database))

    def restore(self, target: Path, at: datetime | None = None) -> None:
        """Make a database from the replica, as of `at` or the newest."""
        when = ["-timestamp", at.isoformat().replace("+00:00", "Z")] if at else []
        options = ["-config", str(self.configuration), "-integrity-check", "full", *when]
        result = litestream("restore", *options, "-o", str(target), str(self.database))
        assert result.returncode == 0, result.stderr


def litestream(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of its commands until it ends."""
    return subprocess.run(
        [command("litestream"), *arguments],
        env=variables(),
        capture_output=True,
        text=True,
        timeout=2 * LONGEST,
        check=False,
    )


def until(true: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
