"""rqlite, the real binary: nodes that start, are killed, and come back, on ports of this machine.

What `rows` returns is what one node has, not what the cluster has agreed on, so that nodes can be
compared with each other.
"""

import http.client
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from abathur_schema.place import Address
from tests.support.commands import ROOT
from tests.support.ports import HOST, free_ports

LONGEST = 60
"""Seconds until something that is waited for has failed."""

LOSSLESS = (
    "typeof({0}), iif(typeof({0}) IN ('text', 'blob'), hex({0}),"
    " iif({0} IN (9e999, -9e999), {0} || '', {0}))"
)
"""A column as two that JSON can hold."""

Statement = str | Sequence[object]
"""SQL, or SQL followed by the values of its parameters."""


def binary() -> str:
    """The path of rqlited; the test is skipped without it."""
    path = os.environ.get("RQLITED") or str(ROOT / ".rqlite" / "rqlited")
    if not os.access(path, os.X_OK):
        pytest.skip(f"not here: {path} (.ci/rqlite .rqlite installs rqlite)")
    return path


class Node:
    """One process of rqlite, and its data."""

    def __init__(self, name: str, port: int, folder: Path, command: list[str]) -> None:
        self.name = name
        self.port = port
        self.log = folder / f"{name}.log"
        self.command = [*command, str(folder / name)]
        self.process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"{self.name} on port {self.port}"

    def start(self) -> None:
        """Start it, and do not wait."""
        assert not self.alive, self
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def end(self) -> None:
        """End its process, whatever it is doing, if there is one."""
        if self.process:
            self.process.kill()
            self.process.wait()

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self.process
        return self.process.pid

    def ask(
        self, method: str, path: str, body: bytes | None = None, timeout: float = 30
    ) -> tuple[int, bytes]:
        """The status and the answer to one request; OSError or HTTPException if none comes."""
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=timeout)) as connection:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()

    def run(self, path: str, *statements: Statement) -> list[dict[str, Any]]:
        """Send statements. Returns the result of each; fails if there is an error in any, which is
        sent with status 200.
        """
        answer = self.ask("POST", path, json.dumps(statements).encode())
        assert answer[0] == 200, (self, answer)
        read = json.loads(answer[1], parse_int=lambda text: -0.0 if text == "-0" else int(text))
        assert not any("error" in result for result in [read, *read["results"]]), (self, read)
        results: list[dict[str, Any]] = read["results"]
        return results

    def ready(self) -> bool:
        """Whether it knows a leader and takes requests. It may still be applying older ones."""
        with suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/readyz", timeout=2)[0] == 200
        return False

    def store(self) -> dict[str, Any]:
        """What it tells of its store in `/status`; nothing while its store is not open."""
        with suppress(OSError, http.client.HTTPException):
            status, answer = self.ask("GET", "/status", timeout=2)
            return (json.loads(answer).get("store") or {}) if status == 200 else {}
        return {}


class Cluster:
    """Nodes below a folder that run inside the `with`; afterwards their data is gone."""

    def __init__(self, folder: Path, nodes: int = 3, *options: str) -> None:
        """`options` are further ones of rqlited, the same for each node."""
        self.nodes: list[Node] = []
        self._below = folder
        self._number = nodes
        self._command = [binary(), "-fk", *options]

    def __enter__(self) -> "Cluster":
        """Start the nodes, and wait until they have a leader."""
        self._reserved, ports = free_ports(2 * self._number)
        self.folder = Path(tempfile.mkdtemp(prefix="rqlite-", dir=self._below))
        raft = [f"{HOST}:{port}" for port in ports[self._number :]]
        together = ["-bootstrap-expect", str(self._number), "-join", ",".join(raft)]
        for number, (port, address) in enumerate(zip(ports, raft, strict=False), 1):
            name = f"n{number}"
            own = ["-node-id", name, "-http-addr", f"{HOST}:{port}", "-raft-addr", address]
            command = [*self._command, *own, *(together if self._number > 1 else [])]
            self.nodes.append(Node(name, port, self.folder, command))
        try:
            self.restart(*self.nodes)
            self.leader()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """End every process, and remove the data."""
        if kind:
            print(self.logs())
        self._end()

    def _end(self) -> None:
        for node in self.nodes:
            node.end()
        shutil.rmtree(self.folder)
        self._reserved.close()

    @property
    def address(self) -> str:
        """What `--database` takes."""
        return str(self.place)

    @property
    def place(self) -> Address:
        """The same for `open_cluster`."""
        return Address(tuple(f"{HOST}:{node.port}" for node in self.nodes))

    def living(self) -> list[Node]:
        """The nodes whose processes run."""
        return [node for node in self.nodes if node.alive]

    def leader(self) -> Node:
        """The node that leads; waits for an election to end."""
        found: list[Node] = []

        def one_leads() -> bool:
            states = [(node, node.store().get("raft", {}).get("state")) for node in self.living()]
            found[:] = [node for node, state in states if state == "Leader"]
            return len(found) == 1

        self._until(one_leads, "one leader")
        return found[0]

    def followers(self) -> list[Node]:
        """The other nodes whose processes run."""
        leader = self.leader()
        return [node for node in self.living() if node is not leader]

    def kill(self, *nodes: Node) -> None:
        """End processes as a crash would."""
        for node in nodes:
            node.end()

    def restart(self, *nodes: Node) -> None:
        """Start dead nodes, and wait until they know a leader. They may still lag behind it."""
        for node in nodes:
            node.start()
        for node in nodes:
            self._until(node.ready, f"{node} is ready")

    def caught_up(self) -> None:
        """Wait until each living node has applied all that the leader has.

        A read of level `strong` is an entry of the log: when it is answered, the leader has applied
        all before it. The second one tells the followers that the first is to be applied; without
        it they would learn that from the next heartbeat.
        """

        def all_applied() -> bool:
            leader = self.leader()
            try:
                leader.run("/db/query?level=strong", "SELECT 1")
                applied = leader.store()["fsm_index"]
                leader.run("/db/query?level=strong", "SELECT 1")
            except (AssertionError, KeyError, OSError, http.client.HTTPException):
                return False  # the leader has changed
            self._until(
                lambda: all(node.store().get("fsm_index", 0) >= applied for node in self.living()),
                f"every node has applied {applied}",
            )
            return True

        self._until(all_applied, "a leader that applies")

    def empty(self) -> None:
        """Put an empty database in place of what is there, on every node; the dead are restarted.

        This also ends an open transaction, and what a PRAGMA has set for everybody.
        """
        self.restart(*(node for node in self.nodes if not node.alive))
        file = self.folder / "empty.db"
        if not file.exists():
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("VACUUM")
        loaded = self.leader().ask("POST", "/db/load", file.read_bytes())
        assert loaded == (200, b'{"results":[]}'), loaded
        self.caught_up()
        for node in self.nodes:
            assert self.rows("SELECT count(*) FROM sqlite_schema", node) == [(0,)]

    def execute(self, *statements: Statement) -> None:
        """Run statements on the leader in one transaction."""
        self.leader().run("/db/execute?transaction&noparse", *statements)

    def rows(self, sql: str, node: Node | None = None) -> list[tuple[object, ...]]:
        """What one node, by default the leader, has: the rows of one SELECT, VALUES or WITH.

        The values are as in the file (compare their `repr`: `1 == 1.0`). Plain reads would change
        dates and booleans, and confuse integers with reals and texts with BLOBs. Texts that are not
        UTF-8 have surrogates.
        """
        node = node or self.leader()
        inner = f"(\n{sql.rstrip().rstrip(';')}\n)"
        path = "/db/query?level=none"
        (found,) = node.run(path, f"SELECT * FROM {inner} LIMIT 0")
        names = [f"c{number}" for number in range(len(found["columns"]))]
        wrapped = ", ".join(LOSSLESS.format(name) for name in names)
        query = f"WITH q({', '.join(names)}) AS MATERIALIZED {inner} SELECT {wrapped} FROM q"
        (found,) = node.run(path, query)
        return [
            tuple(_value(kind, value) for kind, value in zip(row[::2], row[1::2], strict=True))
            for row in found.get("values", [])
        ]

    def same_rows(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of one SELECT; fails unless every node has them."""
        self.caught_up()
        found = [self.rows(sql, node) for node in self.nodes]
        assert [repr(rows) for rows in found] == [repr(found[0])] * len(found)
        return found[0]

    def logs(self) -> str:
        """The end of what each node has logged."""
        return "\n".join(f"{node}:\n{node.log.read_text()[-2000:]}" for node in self.nodes)

    def _until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LONGEST
        while not true():
            assert time.monotonic() < deadline, f"waited in vain: {what}\n{self.logs()}"
            time.sleep(0.01)


def _value(kind: str, value: Any) -> object:
    if kind == "text":
        return bytes.fromhex(value).decode("utf-8", "surrogateescape")
    if kind == "blob":
        return bytes.fromhex(value)
    return float(value) if kind == "real" else value
