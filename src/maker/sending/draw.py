"""One draw on its way, from its request to its sample, and what a model answers.

Not covered: who sends it (`dispatcher.py`), and what is held of it (`funds.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from maker.decision.ending import Stop
from maker.decision.sample import Failure, Model, Reply, Request, Sample, groups, readable
from maker.errors import MakerError, ModelError
from maker.sending.budget.usage import Spent

FREE = Spent()

# A draw that raises may have met a bad reply or a lost connection, and is tried again; these come of no reply.
_BUGS = (NameError, ImportError, NotImplementedError)


@dataclass(slots=True)
class Draw:
    """One draw: the most it can take, whether that is held, whether it was sent, and what came of it.

    hedged: a second call of it has gone out beside a first. room: tokens that its request has for thoughts, beside the
    token cap.
    """

    request: Request
    bound: Spent = FREE
    held: bool = False
    sent: bool = False
    hedged: bool = False
    sample: Sample | None = None
    room: int = 0

    def have_room(self, room: int) -> None:
        """Let the reply have so many tokens for thoughts."""
        if room != self.room:
            most = self.request.max_tokens - self.room + room
            self.request, self.room = replace(self.request, max_tokens=most), room


async def answered(model: Model, asked: Sequence[Request]) -> list[Reply]:
    """Return a model's replies, or what `unanswered` makes of what its draw raises."""
    try:
        return readable(await model.draw(asked), len(asked))
    except Exception as error:  # noqa: BLE001 -- whatever a model raises is told apart there
        return unanswered(error, len(asked))


def unanswered(error: Exception, count: int) -> list[Reply]:
    """Return what a draw that raised comes to: failures that may pass. Raises ModelError for a bug.

    Errors of the engine, limits among them, are raised as they are.
    """
    if isinstance(error, (MakerError, Stop)):
        raise error
    told = f"the model's draw raised {type(error).__name__}: {error}"
    if isinstance(error, _BUGS):
        raise ModelError(f"{told}. Mend the model and resume.") from error
    return [Failure("transient", told, None, None, None)] * count  # what it cost nobody knows


def in_calls(draws: Sequence[Draw], together: int) -> list[list[Draw]]:
    """Cut draws into calls: one each, or as many of those that ask the same as the model takes together."""
    if together == 1:
        return [[draw] for draw in draws]
    return [[draws[i] for i in positions] for positions in groups([draw.request for draw in draws], together)]
