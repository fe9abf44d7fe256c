"""There are so many places and no more; real time comes first, batch yields, and opt-outs never wait at all."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from serving.admission import Admission, Lane, Overloaded, Queue

WAITING = {lane: Queue(2, 30.0) for lane in (Lane.REAL_TIME, Lane.STANDARD, Lane.BATCH)}


class Crowd:
    """Requests that hold their place until they are told to leave."""

    def __init__(self, places: int, queues=WAITING) -> None:
        self.admission = Admission(places, queues)
        self.inside: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task] = {}

    async def come(self, name: str, lane: Lane) -> None:
        self.leave[name] = asyncio.Event()

        async def request() -> None:
            async with self.admission.place(lane):
                self.inside.append(name)
                await self.leave[name].wait()
            self.inside.remove(name)

        self.tasks[name] = asyncio.create_task(request())
        await settle()

    async def go(self, name: str) -> None:
        self.leave[name].set()
        await self.tasks[name]
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_free_place_goes_to_real_time_first_and_to_batch_last():
    async def story():
        crowd = Crowd(1)
        await crowd.come("first", Lane.STANDARD)
        for name, lane in (("b", Lane.BATCH), ("s", Lane.STANDARD), ("r", Lane.REAL_TIME)):
            await crowd.come(name, lane)
        order = []
        for _ in range(4):
            (inside,) = crowd.inside
            order.append(inside)
            await crowd.go(inside)
        return order

    assert asyncio.run(story()) == ["first", "r", "s", "b"]


def test_batch_never_holds_more_than_half_of_the_places():
    async def story():
        crowd = Crowd(4)
        for number in range(4):
            await crowd.come(f"b{number}", Lane.BATCH)
        await crowd.come("r", Lane.REAL_TIME)
        held = list(crowd.inside)
        for name in ("b0", "b1", "b2", "b3", "r"):
            await crowd.go(name)
        return held

    assert asyncio.run(story()) == ["b0", "b1", "r"]


@pytest.mark.parametrize("lane", [Lane.REAL_TIME, Lane.STANDARD, Lane.BATCH])
def test_who_finds_the_queue_full_is_sent_away_at_once_and_the_others_keep_their_place(lane):
    async def story():
        crowd = Crowd(1)
        await crowd.come("first", Lane.REAL_TIME)
        for number in range(3):
            await crowd.come(f"w{number}", lane)
        with pytest.raises(Overloaded, match="full"):
            await crowd.tasks.pop("w2")
        for name in ("first", "w0", "w1"):
            await crowd.go(name)

    asyncio.run(story())


def test_who_waited_too_long_is_sent_away_and_holds_nobody_up():
    async def story():
        crowd = Crowd(1, {**WAITING, Lane.BATCH: Queue(2, 0.01)})
        await crowd.come("first", Lane.REAL_TIME)
        await crowd.come("late", Lane.BATCH)
        with pytest.raises(Overloaded, match="in time"):
            await crowd.tasks.pop("late")
        await crowd.go("first")
        await crowd.come("next", Lane.BATCH)
        assert crowd.inside == ["next"]
        await crowd.go("next")

    asyncio.run(story())


def test_who_went_away_while_waiting_takes_no_place_along():
    async def story():
        crowd = Crowd(1)
        await crowd.come("first", Lane.STANDARD)
        await crowd.come("gone", Lane.STANDARD)
        crowd.tasks["gone"].cancel()
        await settle()
        await crowd.go("first")
        await crowd.come("next", Lane.STANDARD)
        assert crowd.inside == ["next"]
        await crowd.go("next")

    asyncio.run(story())


def test_opt_outs_pass_whatever_is_full():
    async def story():
        crowd = Crowd(1)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(crowd.admission.place(Lane.STANDARD))
            for _ in range(100):
                await stack.enter_async_context(crowd.admission.place(Lane.NEVER_SHED))

    asyncio.run(story())
