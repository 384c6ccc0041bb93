"""Ports of this machine that are free, for servers that come back on the same ones."""

import socket

import pytest

HOST = "127.0.0.1"

PORTS = range(20000, 32000, 20)
"""Where the ports of a cluster begin. They are below those that the system gives to outgoing
connections: one of these could otherwise have a node's port when the node comes back.
"""


def free_ports(number: int) -> tuple[socket.socket, list[int]]:
    """Ports that are free, and the socket that keeps other clusters from them until it closes."""
    assert number < PORTS.step
    for first in PORTS:
        reserved = socket.socket()
        ports = list(range(first + 1, first + 1 + number))
        try:
            reserved.bind((HOST, first))
            for port in ports:
                with socket.create_server((HOST, port)):
                    pass
        except OSError:
            reserved.close()
        else:
            return reserved, ports
    pytest.fail("no free ports")
