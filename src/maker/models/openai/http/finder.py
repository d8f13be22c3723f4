"""How many requests at once are worth sending to a server that says nothing of it: found by doubling.

Promises: the number begins at FIRST_LIMIT, doubles with each round of replies while that brings more good ones a
second, and ends at half of what did not; some rounds later it is tried at double once more. Refusals are judged by
the same: where twice as many at once bring twice as many replies, the server refuses some of all, and fewer would
only be slower. One round with refusals that speaks against more may be chance, two do not.

Not covered: what is done about refusals when the number is found, and who may go out (`gate.py`).
"""

from __future__ import annotations

from maker.log import log

FIRST_LIMIT = 8  # requests at once
MOST = 512  # requests at once that the number grows to
WORTH = 1.2  # times the good replies a second that doubling must bring to be kept
NEAR = 0.75  # of the number: with fewer out a round tells nothing of it
QUICK = 0.1  # seconds; shorter replies tell nothing of a queue at the server
MANY = 0.1  # share of refusals from which they tell of one, however quick the replies are
TOO_MANY = 0.5  # from here on more at once is never tried
LOOK_AGAIN = 16  # rounds after which a number that was found is tried at double once more


class Finder:
    """Finds how many at once are worth it. top: the number so far. settled: it was found."""

    def __init__(self) -> None:
        self.top = float(FIRST_LIMIT)
        self.settled = False
        self._best = 0.0  # good replies a second at half of top
        self._rounds = 0  # since it settled
        self._doubted = False  # a round with refusals spoke against more

    def worth(self, out: int, seconds: float, bad: float) -> bool:
        """Judge a round, and say whether `top` was doubled.

        out: the most that were out at once. seconds: what a good reply took. bad: the share that was none.
        """
        self._rounds += 1
        if out < NEAR * self.top or (self.settled and self._rounds < LOOK_AGAIN):
            return False
        rate = out * (1 - bad) / max(seconds, 1e-9)
        telling = seconds >= QUICK or bad >= MANY
        if not self.settled and telling and rate < WORTH * self._best:
            if bad and not self._doubted:
                self._doubted = True
            else:
                self._settle(max(self.top / 2, FIRST_LIMIT))
                log.debug("model.concurrency", found=int(self.top), seconds=seconds)
            return False
        if self.top >= MOST or bad >= TOO_MANY:
            self._settle(self.top)
            return False
        self.settled, self._doubted, self._best = False, False, rate
        self.top = min(2 * self.top, float(MOST))
        return True

    def _settle(self, top: float) -> None:
        self.top, self.settled, self._rounds, self._doubted = top, True, 0, False
