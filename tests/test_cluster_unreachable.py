"""Addresses of what is no cluster, or none yet: the tasks end soon, with exit code 2, and touch
nothing; a write is sent again only where it has not been received.
"""

import http.server
import json
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from abathur_schema.errors import UnknownOutcomeError
from abathur_schema.place import Address
from abathur_schema.storage.rqlite import Nodes
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
    """A server that is not rqlite: it sends `answers`, the last one for ever."""

    answers: ClassVar[list[bytes]] = []
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering(*answers: bytes) -> Iterator[Address]:
    """A server that sends these."""
    kind = type("Answering", (Another,), {"answers": [*answers]})
    with http.server.ThreadingHTTPServer((HOST, 0), kind) as server:
        threading.Thread(target=server.serve_forever).start()
        yield Address((f"{HOST}:{server.server_port}",))
        server.shutdown()


REMOTE = "node failed to process Execute on remote node at 10.0.0.1:4002: "
OUTCOMES: dict[str, type[Exception] | None] = {
    "store not open": None,
    f"{REMOTE}not leader": None,
    f"{REMOTE}pool get: dial tcp 10.0.0.1:4002: connect: connection refused": None,
    f"{REMOTE}read protobuf length: EOF": UnknownOutcomeError,
    "leadership lost while committing log": UnknownOutcomeError,
    "FOREIGN KEY constraint failed": sqlite3.IntegrityError,
}


@pytest.mark.parametrize("error", OUTCOMES)
def test_a_write_is_sent_again_only_if_nobody_has_begun_with_it(error: str, tmp_path: Path) -> None:
    file = tmp_path / "database.db"
    file.touch()
    failed, done = json.dumps({"results": [], "error": error}).encode(), b'{"results":[{}]}'
    acts: list[Callable[[Nodes], object]] = [
        lambda nodes: nodes.execute(["DELETE FROM t"]),
        lambda nodes: nodes.load(file),
    ]
    for act in acts:
        with answering(failed, failed, done) as place, closing(Nodes(place)) as nodes:
            if expected := OUTCOMES[error]:
                with pytest.raises(expected):
                    act(nodes)
            else:
                act(nodes)


@pytest.fixture(params=["nobody listens", "nobody accepts", "another server"])
def wrong(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of what is no cluster."""
    if request.param == "another server":
        with answering(b"<html>") as place:
            yield str(place)
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


def test_ctrl_c_while_a_node_does_not_answer(tmp_path: Path) -> None:
    with closing(socket.create_server((HOST, 0))) as silent:
        address = f"rqlite://{HOST}:{silent.getsockname()[1]}"
        with subprocess.Popen(
            invoke_command("verify", "--database", address),
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            asked, _ = silent.accept()
            with asked:
                assert asked.recv(65536)
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in said
