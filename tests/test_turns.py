"""Turns come in order, and none is lost."""

import asyncio

from abathur_schema.application.turns import Block, Turns


async def test_who_asks_first_is_first() -> None:
    turns, order = Turns(1), []

    async def take(number: int) -> None:
        async with turns.turn():
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(number) for number in range(10)))
    assert order == list(range(10))


async def test_turn_that_does_not_come_in_time() -> None:
    turns = Turns(1)
    async with turns.turn(), turns.turn(0.01) as came:
        assert not came
    async with turns.turn(0.01) as came:  # nobody gives back the turn that never came
        assert came
        async with turns.turn(0.01) as second:
            assert not second


async def test_turn_that_comes_to_a_cancelled_task_goes_on_to_the_next() -> None:
    turns = Turns(1)

    async def take() -> bool:
        async with turns.turn(5) as came:
            return came

    async with turns.turn():
        first, second, third = (asyncio.create_task(take()) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()  # while it waits
        await asyncio.sleep(0)
    first.cancel()  # it has the turn, but does not know it yet
    assert await third
    async with turns.turn(0.01) as came:
        assert came
    assert first.cancelled()
    assert second.cancelled()


async def test_task_that_outlives_a_block_is_not_in_it() -> None:
    owner, go = object(), asyncio.Event()

    async def later() -> bool:
        before = Block.around(owner) is not None
        await go.wait()
        return before and Block.around(owner) is None

    with Block(owner) as outer, Block(object()):
        assert Block.around(owner) is outer
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    assert Block.around(owner) is None
    go.set()
    assert await task
