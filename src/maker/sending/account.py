"""How the account of a run survives in its journal.

What was judged is in the waves, and what a model over a network was paid is in its receipts. Of a model in this
process the rest (failed, cancelled, lost) is noted when the run ends. Replaying all of it gives the same
`Usage` again. One gap: where a model in this process is asked beside a paid one, its own failed and
cancelled draws, which cost nothing, are not noted.

Not covered: what a single call took (`usage.py`), and limits (`limits.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maker.decision.address import Address
from maker.decision.sample import Sample
from maker.decision.wave import Wave
from maker.journal.notes import Batch, Calibration, Note, Receipt, Reserve, ServerChange, Takes, Unshown
from maker.sending.budget.usage import Usage
from maker.sending.receipts import Receipts

_UNSHOWN = Unshown.__slots__  # what no wave and no calibration shows


class Account:
    """The usage of one run, brought back from its journal.

    receipts: None where none can be. paid: the run's own model is called over a network.
    """

    def __init__(self, usage: Usage, receipts: Receipts | None, *, paid: bool | None = None) -> None:
        self.usage, self.receipts = usage, receipts
        self.paid = receipts is not None if paid is None else paid
        self._noted = Usage()

    def take(self, note: Note) -> bool:
        """Book a journaled note; False where it is not about what was spent. Raises JournalError for one that lies."""
        if isinstance(note, Unshown):
            usage = self.usage
            for field in _UNSHOWN:
                setattr(usage, field, getattr(usage, field) + getattr(note, field))
            usage.dispatched += note.failed + note.cancelled
            usage.tokens_in += note.lost_in
            usage.tokens_out += note.lost_out
        elif isinstance(note, Reserve | Batch | Receipt | ServerChange | Takes):
            if self.receipts is not None:
                self.receipts.replay(note)
        else:
            return False
        return True

    def replayed(self, wave: Wave, run: str) -> None:
        """Book a wave that an earlier process drew: with its tokens where no receipt has counted them."""
        receipts = self.receipts
        if receipts is None or not receipts.known or Address(run, wave.step, wave.first) not in receipts.known:
            self.usage.replay(wave)
        else:
            self.judged(wave, run)

    def judged(self, wave: Wave, run: str) -> None:
        """Book a wave that was drawn under another name than the run's."""
        self.usage.book(wave)
        if self.receipts is not None:
            self.receipts.judged(run, wave.step, wave.first, len(wave))

    def keep_unjudged(self, came: Mapping[Address, Sample], *, durable: bool) -> None:
        """Keep samples that nobody judges in this process for a resume. durable: by receipts; else they are lost."""
        if durable and self.receipts is not None:
            self.receipts.known.update(came)
        else:
            self.usage.lose(came.values())

    def forget_step(self, run: str, step: int) -> None:
        """Book what came of a step and was not judged as lost."""
        if self.receipts is not None:
            self.receipts.forget_step(run, step)

    def calibrated(self, found: Calibration, run: str) -> None:
        """Book the calibration of an earlier process. run: the name of the run itself."""
        usage = self.usage
        usage.voted += found.valid
        usage.flagged += found.draws - found.valid
        usage.flags.update(found.flags)
        if self.paid and self.receipts is not None:  # they have counted what was sent
            self.receipts.judge_all_but(run)
        else:
            usage.dispatched += found.draws
            usage.tokens_in += found.tokens_in
            usage.tokens_out += found.tokens_out

    def forfeit(self, before: Usage) -> None:
        """Book the samples of a calibration that broke off as lost; receipts keep theirs for a resume."""
        usage = self.usage
        if not self.paid:
            usage.cancelled += usage.voted + usage.flagged - before.voted - before.flagged
            usage.lost_in = before.lost_in + usage.tokens_in - before.tokens_in
            usage.lost_out = before.lost_out + usage.tokens_out - before.tokens_out
        usage.voted, usage.flagged, usage.flags = before.voted, before.flagged, before.flags

    def close_replay(self) -> None:
        """Book what was in flight when an earlier process died. Raises Stop for a model that changed."""
        try:
            if self.receipts is not None:
                self.receipts.close_replay()
        finally:
            self._noted = self.snapshot()

    def snapshot(self) -> Usage:
        """Return the account as it stands."""
        return replace(self.usage, flags=Counter(self.usage.flags))

    def unshown(self) -> dict[str, Any] | None:
        """Return the note of what was sent since the replay without a wave to show for it; None for nothing."""
        unshown = {field: getattr(self.usage, field) - getattr(self._noted, field) for field in _UNSHOWN}
        shown = self.receipts is not None and self.receipts.used  # by receipts, which are noted as they come
        return {"usage": unshown} if not shown and any(unshown.values()) else None
