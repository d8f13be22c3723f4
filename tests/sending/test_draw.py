"""A draw on its way: the room for thoughts that a model needs is asked for, and held."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

import maker
from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.sample import Failure, Prices, Reply, Request, Sample
from maker.errors import ModelError
from maker.sending.draw import Draw, answered, unanswered

ROOM = 5_000


class Thinker:
    """A model that is found to think with its first reply, which is cut off; then it takes 2,000 tokens for each."""

    lockstep = False
    prices = Prices(input=0, output=1)

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.known = False

    def room(self) -> int:
        """Say what is known."""
        return ROOM if self.known else 0

    async def draw(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer one request."""
        (request,) = requests
        self.asked.append(request.max_tokens)
        await asyncio.sleep(0)
        self.known = True
        if request.max_tokens < ROOM:
            return [Failure("again", "cut off", None, 0, request.max_tokens)]
        return [Sample("42", 0, 2_000, tokens_reasoning=1_990)]


def test_a_draw_has_the_room_that_is_needed_now():
    """Room is beside the cap, once, however often it is given."""
    draw = Draw(Request(Address("r", 0, 0), "what?", 1, max_tokens=100))
    for room, most in ((7, 107), (7, 107), (0, 100), (9, 109)):
        draw.have_room(room)
        assert draw.request.max_tokens == most


def test_a_model_that_thinks_is_asked_again_with_room():
    """What was cut off is repeated with room; what is sent later has it at once, and no reply is flagged for length."""
    model = Thinker()
    verdict = maker.vote_sync("What is 6 x 7?", model=model, k=3, max_tokens=100)
    assert (verdict.answer, verdict.flagged, verdict.samples) == ("42", 0, 3)
    assert model.asked == [100] * 3 + [100 + ROOM] * 3


@pytest.mark.parametrize("most", [5_600, 9_000, 16_000, 40_000])
def test_room_for_thoughts_is_held(most: int):
    """No reply can pass a cap: the room of each is held before; and no cap stops while a reply would fit."""
    model = Thinker()
    limits = {"max_tokens": most, "concurrency": 8}
    verdicts = maker.map_sync("{item}?", range(8), model=model, k=2, max_tokens=100, limits=limits)
    usage = verdicts.result.usage
    assert usage.tokens <= most
    assert verdicts.stopped == (None if most == 40_000 else "max_tokens")
    assert usage.tokens > most - ROOM - 500 or verdicts.stopped is None


def test_what_a_draw_raises_is_told_apart():
    """What may pass is a failure of each draw, billed as nobody knows; a bug, and a limit, are raised."""
    told = unanswered(OSError("gone"), 2)
    assert told == [Failure("transient", "the model's draw raised OSError: gone", None, None, None)] * 2
    with pytest.raises(ModelError, match="NameError: nobody"):
        unanswered(NameError("nobody"), 1)
    stop = Stop("max_calls", "enough")
    with pytest.raises(Stop) as raised:
        unanswered(stop, 1)
    assert raised.value is stop

    class Broken:
        async def draw(self, requests: Sequence[Request]) -> list[Reply]:
            raise OSError("gone")

    assert asyncio.run(answered(Broken(), [None, None])) == told
