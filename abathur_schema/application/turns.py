"""Turns: first come, first served, and no block waits for one that it is inside of.

Unlike asyncio's locks, waiting can time out without losing a turn to a cancelled task, and code can
find out whether it runs inside a turn it already has.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar


class Turns:
    """A number of turns on one thing; all tasks that wait belong to one event loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, seconds: float | None = None) -> AsyncIterator[bool]:
        """Wait for a turn, for at most so many seconds; yields whether it came."""
        came = await self._come(seconds)
        try:
            yield came
        finally:
            if came:
                self._pass_on()

    async def _come(self, seconds: float | None) -> bool:
        if self._free:
            self._free -= 1
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        except asyncio.CancelledError:
            if waiter.done():  # the turn came at the same moment
                self._pass_on()
            raise
        finally:
            if not waiter.done():
                self._waiting.remove(waiter)
        return waiter.done()

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(None)
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
