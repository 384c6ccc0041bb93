"""A verb on a cluster takes place once, whatever becomes of its request and of the answer."""

import socket
from collections.abc import Awaitable, Callable

import pytest

from abathur_schema import Database
from tests.support.ports import HOST
from tests.support.proxy import between
from tests.support.rqlite import Cluster

SETUP = (
    "INSERT INTO sessions (id, app_name, user_id, created_at, last_update_time)"
    " VALUES ('s', 'a', 'u', '', '')",
    "INSERT INTO tasks (id, prompt, status, input_data, submitted_at, last_updated_at)"
    " VALUES ('t1', 'p', 'ready', '{}', '1', ''), ('t2', 'p', 'ready', '{}', '2', '')",
    "INSERT INTO memory_entries (namespace, key, value, memory_type, created_at, updated_at)"
    " VALUES ('user:a', 'old', '1', 'semantic', '', '')",
)
VERBS: dict[str, tuple[Callable[[Database], Awaitable[object]], str, object]] = {
    "remember": (
        lambda db: db.remember("user:a", "old", 2),
        "SELECT count(*) FROM memory_entries",
        2,
    ),
    "forget": (
        lambda db: db.forget("user:a", "old"),
        "SELECT count(*) FROM memory_entries WHERE is_deleted",
        1,
    ),
    "append_event": (
        lambda db: db.append_event("s", {}),
        "SELECT json_array_length(events) FROM sessions",
        1,
    ),
    "claim_task": (
        lambda db: db.claim_task(),
        "SELECT count(*) FROM tasks WHERE status = 'running'",
        1,
    ),
    "index_document": (
        lambda db: db.index_document("a.md", content="x"),
        "SELECT count(*) FROM document_index",
        1,
    ),
}
ANSWER_LOST, REQUEST_LOST = "the answer is lost", "the request is lost"
LATE = [f"the request comes before the next but {number}" for number in range(5)]
FATES = (ANSWER_LOST, REQUEST_LOST, *LATE)


class Fate:
    """What becomes of the first request that writes."""

    def __init__(self, name: str, port: int) -> None:
        self.port = port
        self.left = LATE.index(name) if name in LATE else -1
        self.held: list[bytes] = []
        self.is_done = False

    def __call__(self, request: bytes) -> bool:
        """Whether the proxy drops this one."""
        if b"/db/execute" in request and not self.is_done:
            self.is_done = True
            self.held.append(request)
            return True
        if self.held and self.left == 0:
            with socket.create_connection((HOST, self.port)) as node:
                node.sendall(self.held.pop())
                assert b"200" in node.recv(65536)
        self.left -= bool(self.held)
        return False


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("verb", VERBS)
async def test_once_whatever_happens(verb: str, fate: str, cluster: Cluster) -> None:
    act, count, wanted = VERBS[verb]
    async with Database(cluster.address) as db:
        undisturbed = await db.get_index_usage()
    assert undisturbed["index_count"] == 33
    cluster.execute(*SETUP)
    happens = Fate(fate, cluster.leader().port)
    with between(cluster, happens) as proxy:
        proxy.forwards = fate == ANSWER_LOST
        db = Database(str(proxy.place))
        result = await act(db)
        await db.close()
    assert happens.is_done
    assert cluster.rows(count) == [(wanted,)]
    assert cluster.rows("SELECT count(*), count(DISTINCT action_data) FROM audit") == [(1, 1)]
    if verb in ("forget", "append_event"):
        assert result == 1
    elif verb == "remember":
        assert getattr(result, "version", None) == 2
    elif verb == "claim_task":
        assert getattr(result, "id", None) == "t1"
    cluster.caught_up()
