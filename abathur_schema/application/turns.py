"""Turns: first come, first served, and no block waits for one that it is inside of.

Unlike asyncio's locks, waiting can time out without losing a turn to a cancelled task, and code can
find out whether it runs inside a turn it already has.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Waiting(NamedTuple):
    """A task in the queue: whether its turn came, once that is known; since when it waits, and
    after how many seconds without any turn passed on it goes ahead.
    """

    came: asyncio.Future[bool]
    since: float
    patience: float


class Turns:
    """A number of turns on one thing; all tasks that wait belong to one event loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._queue: deque[Waiting] = deque()
        self._passed_on = self._went_ahead = -math.inf

    @asynccontextmanager
    async def turn(self, patience: float | None = None) -> AsyncIterator[bool]:
        """Wait for a turn, as long as others get theirs; yields whether it came.

        Who has waited for `patience` seconds in which nobody got a turn goes ahead without one. Of
        all those, one goes at a time: the next when the one before has ended, or takes as long.
        """
        came = await self._come(math.inf if patience is None else patience)
        try:
            yield came
        finally:
            self._end(came)

    async def _come(self, patience: float) -> bool:
        if self._free:
            self._free -= 1
            return True
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting = Waiting(future, time.monotonic(), patience)
        self._queue.append(waiting)
        try:
            while not future.done() and (left := self._left(waiting)) > 0:
                await asyncio.wait((future,), timeout=None if left == math.inf else left)
        except asyncio.CancelledError:
            if future.done():  # the turn came at the same moment
                self._end(future.result())
            raise
        finally:
            if not future.done():
                self._queue.remove(waiting)
        if future.done():
            return future.result()
        self._went_ahead = time.monotonic()
        return False

    def _left(self, waiting: Waiting) -> float:
        """The seconds until a task goes ahead, if nothing happens meanwhile."""
        last = max(waiting.since, self._passed_on, self._went_ahead)
        return last + waiting.patience - time.monotonic()

    def _end(self, came: bool) -> None:
        if came:
            self._pass_on()
            return
        self._went_ahead = -math.inf
        if self._queue and self._left(self._queue[0]) <= 0:
            self._went_ahead = time.monotonic()
            self._queue.popleft().came.set_result(False)

    def _pass_on(self) -> None:
        self._passed_on = time.monotonic()
        if self._queue:
            self._queue.popleft().came.set_result(True)
        else:
            self._free += 1


class Block:
    """The code inside one `async with` of `owner`, and the tasks it starts.

    `inside` gives turns to blocks of the same owner within it; `task` is the one that entered it.
    """

    def __init__(self, owner: object) -> None:
        self._owner = owner
        self._around = _innermost.get()
        self._over = False
        self.task = asyncio.current_task()
        self.inside = Turns(1)

    def __enter__(self) -> "Block":
        _innermost.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        # No context token: a test fixture may be left in another context than it was entered.
        if _innermost.get() is self:
            _innermost.set(self._around)

    @classmethod
    def around(cls, owner: object) -> "Block | None":
        """The innermost block of `owner` that this code runs in, or None.

        A task that outlives the block in which it was started is no longer in it.
        """
        block = _innermost.get()
        while block and (block._over or block._owner is not owner):
            block = block._around
        return block


_innermost: ContextVar[Block | None] = ContextVar("innermost block", default=None)
