"""A proxy between a client and a node that loses answers, or requests."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

from abathur_schema.place import Address
from tests.support.ports import HOST
from tests.support.rqlite import Cluster


class Proxy:
    """Stands between a client and a node. It drops the answer to each request that `drops` names,
    or without `forwards` the request itself, and keeps what has come.
    """

    forwards = True

    def __init__(self, port: int, drops: Callable[[bytes], bool]) -> None:
        self.drops = drops
        self.requests: list[bytes] = []
        self._port = port
        self._server = socket.create_server((HOST, 0))
        self.place = Address((f"{HOST}:{self._server.getsockname()[1]}",))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection((HOST, self._port)) as node:
            while request := _message(client):
                self.requests.append(request)
                is_dropped = self.drops(request)
                if is_dropped and not self.forwards:
                    return
                node.sendall(request)
                answer = _message(node)
                if is_dropped:
                    return
                client.sendall(answer)


def _message(source: socket.socket) -> bytes:
    """One HTTP message; empty when the other side has closed."""
    content = b""
    while b"\r\n\r\n" not in content:
        if not (part := source.recv(65536)):
            return b""
        content += part
    head, _, body = content.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    is_chunked = b"chunked" in head.lower()
    while len(body) < length or (is_chunked and not body.endswith(b"0\r\n\r\n")):
        body += source.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def between(cluster: Cluster, drops: Callable[[bytes], bool]) -> Iterator[Proxy]:
    """A proxy before the leader."""
    with closing(Proxy(cluster.leader().port, drops)) as proxy:
        yield proxy
