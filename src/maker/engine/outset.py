"""How a map begins: whether its first items say that all will go wrong alike.

A stop after some dozens of calls instead of thousands, and a warning where nothing but one field keeps answers apart.
Only what was drawn in this process is looked at, so that a resume asks anew.

Not covered: a single item that does not decide (`course.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from maker.decision.ending import Stop
from maker.decision.poll import Poll
from maker.log import log
from maker.sending.budget.usage import Usage
from maker.task.alike import differing_field, looks

ITEMS = 3  # that all went wrong alike say something of the others
REPLIES = 60  # without one vote; a model that can be read one time in ten gets so far once in 500 maps
VOTES = 3  # all for different answers, of an item that counts as one whose votes never agree


class Outset:
    """What the items asked about in this process have shown.

    usage: the account of the run, as the journal left it. items: how many there are.
    """

    def __init__(self, usage: Usage, items: int) -> None:
        self._usage = usage
        self._voted, self._flagged = usage.voted, usage.flagged
        self._flags = Counter(usage.flags)
        self._many = items > ITEMS
        self._asked: set[int] = set()  # as long as there is no vote
        self._apart: dict[int, str] | None = {}  # the field that differs, by item; None once that is said

    def look(self, poll: Poll) -> None:
        """Look at the vote on an item after a live wave; say once which field keeps the answers of all apart."""
        if self._usage.voted == self._voted:
            self._asked.add(poll.step.index)
        if self._apart is None or poll.won or not VOTES <= poll.drawn - poll.tally.flagged == len(poll.readings):
            return
        if field := differing_field([reading.answer for reading in poll.readings]):
            self._apart[poll.step.index] = field
            field, items = Counter(self._apart.values()).most_common(1)[0]
            if items == ITEMS:
                log.warning("map.apart", field=field, items=items, advice="mark it maker.unvoted if it need not count")
                self._apart = None

    def hopeless(self, decided: int, aside: Collection[int], polls: Iterable[Poll]) -> Stop | None:
        """Return the stop of a map none of whose replies has a vote; None where one has, or few were asked.

        decided: items, by earlier processes too. aside: items that stay without a verdict. polls: those under way.
        """
        if decided or not self._many or self._usage.voted > self._voted or len(self._asked) < ITEMS:
            return None
        flagged = self._usage.flagged - self._flagged
        if flagged < REPLIES and sum(item in aside for item in self._asked) < ITEMS:
            return None
        samples = [sample for poll in polls for sample in poll.samples]
        called = all(sample.finish_reason == "tool_calls" for sample in samples)
        alike = looks([sample.text for sample in samples], called=called)
        kinds = ", ".join(f"{kind} {n}" for kind, n in (self._usage.flags - self._flags).most_common())
        return Stop("all_flagged", f"None of {flagged} replies on the first {len(self._asked)} items has a vote: "
                    f"{kinds}{f'; {alike}' if alike else ''}. Once the model answers in a form that is read, the same "
                    "call goes on; another prompt, answer or parse needs another journal.", 4)  # fmt: skip
