"""One draw on its way, from its request to its sample.

Not covered: who sends it (`dispatcher.py`), and what is held of it (`funds.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from maker.decision.sample import Request, Sample
from maker.sending.budget.usage import Spent

FREE = Spent()


@dataclass(slots=True)
class Draw:
    """One draw: the most it can take, whether that is held, whether it was sent, and what came of it.

    room: tokens that its request has for thoughts, beside the token cap.
    """

    request: Request
    bound: Spent = FREE
    held: bool = False
    sent: bool = False
    sample: Sample | None = None
    room: int = 0

    def have_room(self, room: int) -> None:
        """Let the reply have so many tokens for thoughts."""
        if room != self.room:
            most = self.request.max_tokens - self.room + room
            self.request, self.room = replace(self.request, max_tokens=most), room
