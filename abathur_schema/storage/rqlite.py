"""Ask an rqlite cluster over HTTP: a request is whole or not at all, and an answer that was lost is
told apart from a refusal.

What is sent and what an answer means was found out by running rqlite 8.26 (docs/scale.md lists it).
Its clients for Python repeat a write whose answer was lost, or change values.
"""

import json
import os
import select
import socket
import sqlite3
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ..errors import NoLeaderError, UnknownOutcomeError
from ..interruption import stop_if_asked
from ..place import Address

SECONDS_WITHOUT_LEADER = 10.0
"""How long a request is repeated while there is no leader: electing one takes two or three."""

SECONDS_TO_CONNECT = 3.0
MS_BETWEEN_LOOKS = 200
SECONDS_FOR_AN_ANSWER = 60.0
SECONDS_PER_BYTE = 1e-6
"""How much longer for each byte that is sent: ten times what loading a database takes."""

NO_LEADER = "leader not found"

NOT_RECEIVED = ("pool get: dial", "store not open", "store not ready", "not leader", NO_LEADER)
"""What a node says that has not begun with a request: it, or the leader, is starting or gone."""

Level = Literal["none", "weak", "strong"]


class Nodes:
    """The nodes of one cluster; each thread has its own, as HTTP connections are not shared."""

    def __init__(self, address: Address, patience: float = SECONDS_WITHOUT_LEADER) -> None:
        self.address = address
        self._patience = patience
        self._first = 0
        self._connection: HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection to the node that was asked last."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def query_all(self, statements: Sequence[str], level: Level) -> list[list[list[Any]]]:
        """The rows of each of these SELECTs, which see one state, with rqlite's own values."""
        path = f"/db/query?level={level}&transaction"
        results = self._ask(path, statements, repeat=True)
        return [result.get("values", []) for result in results]

    def execute(self, statements: Sequence[str]) -> list[dict[str, Any]]:
        """Run statements, all or none, and return what rqlite says of each: `rows_affected`,
        `last_insert_id`. Raises sqlite3.IntegrityError or OperationalError for the first that is
        refused, NoLeaderError, and UnknownOutcomeError.
        """
        # Without noparse, rqlite commits the rest when a statement with RETURNING fails.
        return self._ask("/db/execute?transaction&noparse", statements, repeat=False)

    def save(self, path: Path) -> None:
        """Write a copy of the database, made by the leader, to a file, and sync it."""
        content = self._send("GET", "/db/backup?redirect", b"", repeat=True)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def load(self, path: Path) -> None:
        """Replace the database of all nodes by a file's. Raises what `execute` raises."""
        answer = self._answer("/db/load?redirect", path.read_bytes(), repeat=False)
        for result in answer.get("results", []):
            _raise(result)

    def _ask(self, path: str, statements: Sequence[str], *, repeat: bool) -> list[dict[str, Any]]:
        answer = self._answer(path, json.dumps([*statements]).encode(), repeat=repeat)
        results: list[dict[str, Any]] = answer.get("results", [])
        for result in results:
            _raise(result)
        if len(results) != len(statements):
            raise sqlite3.OperationalError(f"rqlite answered {len(results)} of {len(statements)}")
        return results

    def _answer(self, path: str, body: bytes, *, repeat: bool) -> dict[str, Any]:
        """An answer without an error of the whole request."""
        give_up = time.monotonic() + self._patience
        while True:
            content = self._send("POST", path, body, repeat=repeat)
            try:
                answer: dict[str, Any] = json.loads(content, parse_int=_whole)
                error = str(answer.get("error", ""))
            except (ValueError, AttributeError) as other:
                raise NoLeaderError(f"this is not rqlite's: {content[:80]!r}") from other
            if not error:
                return answer
            if _is_of_sqlite(error):
                _raise(answer)
            if not repeat and not any(words in error for words in NOT_RECEIVED):
                raise UnknownOutcomeError(f"the cluster answered: {error}")
            if time.monotonic() > give_up:
                raise NoLeaderError(error)
            self._next()

    def _send(self, method: str, path: str, body: bytes, *, repeat: bool) -> bytes:
        """The content of an answer, by the first node that gives one; with `repeat`, a request
        whose answer was lost is sent again.
        """
        give_up = time.monotonic() + self._patience
        while True:
            is_sent = False
            try:
                connection = self._connected()
                patience = SECONDS_FOR_AN_ANSWER + SECONDS_PER_BYTE * len(body)
                connection.sock.settimeout(patience)
                connection.request(method, path, body, {"Content-Type": _type_of(path)})
                is_sent = True
                if repeat:  # what only reads may end when it is asked to
                    _wait(connection.sock, patience)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status == 200:
                    return content
                refused = f"{answer.status} {content.decode('utf-8', 'replace').strip()}"
                if answer.status in (301, 302, 307) and time.monotonic() < give_up:
                    is_sent = False
                    self._connect(urlsplit(answer.headers.get("Location", "")).netloc)
                    continue
                if 400 <= answer.status < 500:
                    raise NoLeaderError(f"rqlite refuses the request: {refused}")
                if answer.status in (500, 502, 504) and not repeat and NO_LEADER not in refused:
                    raise UnknownOutcomeError(f"the cluster answered: {refused}")
                error: Exception = NoLeaderError(refused)
            except (OSError, HTTPException) as lost:
                self.close()
                is_new = isinstance(lost, ConnectionRefusedError)
                if is_sent and not is_new and not repeat:
                    raise UnknownOutcomeError(f"the answer was lost: {lost!r}") from lost
                error = NoLeaderError(f"no node answers: {lost}")
            if time.monotonic() > give_up:
                raise error
            self._next()

    def _connected(self) -> HTTPConnection:
        if self._connection is None or not _is_open(self._connection):
            return self._connect(self.address.nodes[self._first % len(self.address.nodes)])
        return self._connection

    def _connect(self, node: str) -> HTTPConnection:
        self.close()
        self._connection = HTTPConnection(node, timeout=SECONDS_TO_CONNECT)
        self._connection.connect()
        return self._connection

    def _next(self) -> None:
        """Go on with the next node, a little later when all have been asked."""
        self.close()
        self._first += 1
        stop_if_asked()
        if self._first % len(self.address.nodes) == 0:
            time.sleep(0.05)


def _wait(sock: socket.socket, patience: float) -> None:
    """Wait for an answer. Raises Interrupted, and TimeoutError after so many seconds."""
    give_up = time.monotonic() + patience
    answers = select.poll()
    answers.register(sock, select.POLLIN)
    while not answers.poll(MS_BETWEEN_LOOKS):
        stop_if_asked()
        if time.monotonic() > give_up:
            raise TimeoutError("no answer")


def _is_open(connection: HTTPConnection) -> bool:
    """Whether the node has not closed a connection that was idle, such as by starting again."""
    if connection.sock is None:
        return False
    connection.sock.setblocking(False)
    try:
        connection.sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _type_of(path: str) -> str:
    return "application/octet-stream" if path.startswith("/db/load") else "application/json"


def _is_of_sqlite(error: str) -> bool:
    return "constraint failed" in error


def _raise(result: dict[str, Any]) -> None:
    if error := result.get("error"):
        kind = sqlite3.IntegrityError if _is_of_sqlite(error) else sqlite3.OperationalError
        raise kind(error)


def _whole(digits: str) -> int | float:
    return -0.0 if digits == "-0" else int(digits)
