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


async def test_queue_that_moves_is_waited_in() -> None:
    """However long it is: patience counts from the last turn that was passed on."""
    turns = Turns(2)

    async def take() -> bool:
        async with turns.turn(0.2) as came:
            await asyncio.sleep(0.02)
            return came

    assert all(await asyncio.gather(*(take() for _ in range(60))))


async def test_one_at_a_time_goes_ahead_of_a_queue_that_stands() -> None:
    turns = Turns(1)
    ahead = most = 0

    async def go() -> None:
        nonlocal ahead, most
        async with turns.turn(0.05) as came:
            assert not came
            ahead += 1
            most = max(most, ahead)
            await asyncio.sleep(0.001)
            ahead -= 1

    async with turns.turn():
        await asyncio.gather(*(go() for _ in range(20)))
    assert most == 1


async def test_who_goes_ahead_and_stays_is_not_waited_for() -> None:
    turns, over = Turns(1), asyncio.Event()

    async def go() -> None:
        async with turns.turn(0.05) as came:
            assert not came
            await over.wait()

    async with turns.turn():
        first = asyncio.create_task(go())
        await asyncio.sleep(0.01)
        async with turns.turn(0.05) as came:
            assert not came
            assert not first.done()
        over.set()
        await first


async def test_cancelled_task_that_may_go_ahead_lets_the_next_go() -> None:
    turns, go_on = Turns(1), asyncio.Event()

    async def go(patience: float) -> bool:
        async with turns.turn(patience) as came:
            await go_on.wait()
            return came

    async with turns.turn():
        first = asyncio.create_task(go(0.05))
        await asyncio.sleep(0.07)  # it is ahead
        second, third = (asyncio.create_task(go(0.06)) for _ in range(2))
        await asyncio.sleep(0.04)
        go_on.set()
        await asyncio.sleep(0.03)
        second.cancel()
        assert not await first
        assert not await third


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
