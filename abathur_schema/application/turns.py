"""Turns: who asks first is served first, and no block waits for the one around it.

What asyncio's own locks do not do: give up after a time without losing a turn to a cancelled task,
and tell whether the code that asks runs inside a turn that it had before.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar


class Turns:
    """So many turns of one thing at once; all tasks that ask are of one event loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, seconds: float | None = None) -> AsyncIterator[bool]:
        """Wait for a turn, at most for so many seconds; yields whether one came."""
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
            if waiter.done():  # the turn came in the same moment
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
    """The code inside one `async with` of `owner`, and the tasks that it starts.

    `inside` gives turns to the blocks of the same owner in it; `task` is whose block it is.
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
        # Not by a token: a test's fixture may leave in another context than it entered.
        if _innermost.get() is self:
            _innermost.set(self._around)

    @classmethod
    def around(cls, owner: object) -> "Block | None":
        """The innermost block of `owner` in which this code runs, or None.

        A task that outlives the block in which it was started is not in it any more.
        """
        block = _innermost.get()
        while block and (block._over or block._owner is not owner):
            block = block._around
        return block


_innermost: ContextVar[Block | None] = ContextVar("innermost block", default=None)
