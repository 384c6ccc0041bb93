"""Addresses of what is no cluster: the tasks end soon, with exit code 2, and touch nothing."""

import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.commands import Invoke, environment, invoke_command, no_trace
from tests.support.ports import HOST


@pytest.mark.parametrize(
    "address",
    [
        "rqlite://",
        "rqlite://localhost",
        "rqlite://:4001",
        "rqlite://a:b",
        "rqlite://a:1,",
        "rqlite://a:1/x",
    ],
)
def test_wrong_addresses(address: str, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("init", "--database", address)
    assert (result.returncode, [*tmp_path.iterdir()]) == (2, []), result.stderr
    assert "rqlite://10.0.0.1:4001" in result.stderr
    no_trace(result)


class Another(http.server.BaseHTTPRequestHandler):
    """A server that is not rqlite."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["nobody listens", "nobody accepts", "another server"])
def wrong(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of what is no cluster."""
    if request.param == "another server":
        with http.server.ThreadingHTTPServer((HOST, 0), Another) as server:
            threading.Thread(target=server.serve_forever).start()
            yield f"rqlite://{HOST}:{server.server_port}"
            server.shutdown()
        return
    with socket.create_server((HOST, 0), backlog=0) as server, closing(socket.socket()) as first:
        port = server.getsockname()[1]
        if request.param == "nobody listens":
            server.close()
        else:
            first.connect((HOST, port))  # the queue is full: who comes next waits
        yield f"rqlite://{HOST}:{port}"


def test_who_is_no_cluster_is_not_waited_for_long(
    wrong: str, invoke: Invoke, tmp_path: Path
) -> None:
    ran = []
    for task in ("init", "verify"):
        command = invoke_command(task, "--database", wrong)
        pipe = subprocess.PIPE
        ran.append(
            subprocess.Popen(
                command, cwd=tmp_path, env=environment(), stderr=pipe, stdout=pipe, text=True
            )
        )
    started = time.monotonic()
    said = ["".join(one.communicate(timeout=60)) for one in ran]
    assert time.monotonic() - started < 16
    assert [one.returncode for one in ran] == [2, 2], said
    assert not any("Traceback" in one for one in said)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
