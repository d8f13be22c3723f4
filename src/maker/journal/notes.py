"""Every kind of note that a journal holds, beside the waves: its fields, its type, and its one reader.

Each type is made by its `of` from the object that the journal has, `note_of` finds which one that is.

Not covered: those of a step that did not decide (`escalated.py`), their bytes (`records.py`), what a run makes of
them (`engine/course.py`), and the note of a repair, which is for people alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from maker.decision.address import Address
from maker.decision.pool import MOST_WEIGHT, Weights, in_force
from maker.decision.sample import Sample
from maker.decision.wave import received
from maker.errors import JournalError
from maker.journal.escalated import Ahead, Escalation
from maker.journal.header import sound_header
from maker.journal.records import SENSELESS, amount, count
from maker.theory.votes.tables import Table


@dataclass(slots=True)
class Epoch:
    """Settings, in force from here on: those of the journal's header, and each time that it went on with others.

    number: how often they were changed before, and with this note; changed: in which fields. k: None until a
    calibration has chosen it. table: the margins, where that chose some that widen; k is then the least. weights: of
    the turns of a pool, () until a calibration has found them.
    """

    header: dict[str, Any]
    number: int = 0
    changed: list[str] = field(default_factory=list)
    k: int | None = None
    table: Table | None = None
    weights: Weights = ()

    @classmethod
    def of(cls, note: dict[str, Any]) -> Epoch:
        """Return what a journaled header or epoch says."""
        said = note["epoch"] if "epoch" in note else {"header": note["header"], "number": 0, "changed": ()}
        header, number = sound_header(said["header"]), count(said["number"])
        k, weights = header["k"], in_force(header.get("weights", ()))
        if ("epoch" in note) != (number > 0):
            raise ValueError(f"an epoch of number {number}")
        k = None if isinstance(k, str) else int(k)
        return cls(header, number, list(map(str, said["changed"])), k, weights=weights)


UNKNOWN_STEPS = 1_000_000  # planned for where a task cannot say how long it is


@dataclass(slots=True, frozen=True)
class Calibration:
    """What the calibration saw, and the k or the table of margins that was chosen by it.

    draws: all; valid ones of these, wrong ones of these, erring steps drawn again included; flags by kind.
    steps, erred: one draw a step, and how many of these were wrong; p, ..., rho_high: what follows from `evidence`
    (`Evidence`, as kept). against: "truth" or "agreement". worst: a kind worse than the others, drift: a stretch that
    is; table: what the margins stand on beside it, and the margins; weights: valid first draws of each model of a pool
    and wrong ones of these ("models"), and what was made of them ("votes", by turn); each {} (not kept) for none. Where
    there is a table, k is its least margin.
    """

    draws: int
    valid: int
    wrong: int
    tokens_in: int
    tokens_out: int
    flags: dict[str, int]
    against: str
    k: int = 0
    steps: int = 0
    erred: int = 0
    p: float = 0.0
    p_plan: float = 0.0
    rho: float = 0.0
    rho_low: float = 0.0
    rho_high: float = 1.0
    evidence: dict[str, Any] = field(default_factory=dict)
    worst: dict[str, Any] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict)
    drift: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, note: dict[str, Any]) -> Calibration:
        """Return what a journaled note says. Raises ValueError for counts that are none."""
        found = cls(**note["calibration"])
        counts = (found.draws, found.valid, found.wrong, found.tokens_in, found.tokens_out, found.k)
        for number in (*counts, found.steps, found.erred, *found.flags.values()):
            count(number)
        if found.table:
            found.margins()
        found.by_turn()
        for seen in found.weights.get("models", {}).values():
            if (wrong := count(seen[1])) > count(seen[0]):
                raise ValueError(f"{wrong} wrong draws of {seen[0]}")
        return found

    def as_note(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        later = ("worst", "drift", "table", "weights")
        return {name: value for name, value in asdict(self).items() if name not in later or value}

    def margins(self) -> Table | None:
        """Return the table that was chosen, None for a constant k. Raises ValueError or KeyError for what is none."""
        return Table.of(self.table, self.k) if self.table else None

    def by_turn(self) -> Weights:
        """Return the weights that go with its k, () for none. Raises ValueError or KeyError for what are none."""
        found = tuple(map(count, self.weights["votes"])) if self.weights else ()
        if not all(1 <= weight <= MOST_WEIGHT for weight in found):
            raise ValueError(f"weights {found!r:.60}")
        return found


@dataclass(slots=True, frozen=True)
class Reserve:
    """Draws of a step that are about to be sent: their numbers, and the tokens and dollars they take at most.

    batched: they go out with a `Batch`, and were not sent where no batch has them. A worker's block of calls is one,
    too, under a name of its own. returned: nothing is reserved under this name any more: what was sent of the block
    stands in the journal by itself.
    """

    run: str
    step: int
    draws: list[int]
    tokens: list[int]
    cost: list[float]
    batched: bool = False
    returned: bool = False

    @classmethod
    def of(cls, note: dict[str, Any]) -> Reserve:
        """Return what a journaled note says."""
        said = note["reserve"]
        draws, tokens, cost = (list(said[name]) for name in ("draws", "tokens", "cost"))
        if not len(draws) == len(tokens) == len(cost):
            raise ValueError("lists of unequal length")
        return cls(
            str(said["run"]), count(said["step"]), list(map(count, draws)), list(map(count, tokens)),
            list(map(amount, cost)), said.get("batched") is True, said.get("returned") is True,
        )  # fmt: skip


@dataclass(slots=True, frozen=True)
class Batch:
    """Draws that a server was, or is about to be, given as one batch. tag: what it is found by on the server.

    id: the server's, in a later note without draws. given_up: nobody waits for these draws any more.
    """

    tag: str
    run: str = ""
    draws: tuple[tuple[int, int], ...] = ()
    id: str = ""
    given_up: bool = False

    @classmethod
    def of(cls, note: dict[str, Any]) -> Batch:
        """Return what a journaled note says."""
        said = note["batch"]
        draws = tuple((count(step), count(draw)) for step, draw in said.get("draws", ()))
        return cls(str(said["tag"]), str(said.get("run", "")), draws, str(said.get("id", "")), "given_up" in said)

    @property
    def addresses(self) -> list[Address]:
        """Where its draws belong."""
        return [Address(self.run, step, draw) for step, draw in self.draws]


@dataclass(slots=True, frozen=True)
class Receipt:
    """What a draw took, and the sample that came; None where it failed, as `detail` says.

    spent: tokens in, tokens out, tokens assumed, dollars, tokens cached. asked: the model, "" for the run's own. free:
    the server said that it costs nothing.
    """

    address: Address
    spent: tuple[int, int, int, float, int]
    sample: Sample | None
    detail: str = ""
    asked: str = ""
    free: bool = False

    @classmethod
    def of(cls, note: dict[str, Any]) -> Receipt:
        """Return what a journaled sample or failure says. Raises TypeError for a text that is none."""
        said = note["sample"] if "sample" in note else note["failure"]
        address = Address(str(said["run"]), count(said["step"]), count(said["draw"]))
        tokens_in, tokens_out, assumed, cost, cached = said["spent"]
        spent = (count(tokens_in), count(tokens_out), count(assumed), amount(cost), count(cached))
        sample = received(said) if "sample" in note else None
        if sample is not None and not isinstance(sample.text, str | None):
            raise TypeError(f"text = {sample.text!r:.60}")
        free = not spent[3] and said.get("cost") == 0
        return cls(address, spent, sample, str(said.get("detail", "")), str(said.get("asked", "")), free)


@dataclass(slots=True, frozen=True)
class ServerChange:
    """What a server says of its maker changed, and that was accepted. asked: as in `Receipt`; source: of several."""

    what: str
    before: str
    now: str
    asked: str = ""
    source: str = ""

    @classmethod
    def of(cls, note: dict[str, Any]) -> ServerChange:
        """Return what a journaled note says."""
        said = note["change"]
        told = said["what"], said["from"], said["to"], said.get("asked", ""), said.get("source", "")
        return cls(*map(str, told))


@dataclass(slots=True, frozen=True)
class Takes:
    """What a model over a network was found to take, as its kind of model says it."""

    model: str
    takes: dict[str, Any]

    @classmethod
    def of(cls, note: dict[str, Any]) -> Takes:
        """Return what a journaled note says."""
        said = dict(note["takes"])
        return cls(str(said.pop("model")), said)


@dataclass(slots=True, frozen=True)
class Unshown:
    """What was sent without a wave or a receipt to show for it."""

    failed: int
    cancelled: int
    lost_in: int
    lost_out: int
    assumed: int = 0

    @classmethod
    def of(cls, note: dict[str, Any]) -> Unshown:
        """Return what a journaled note says."""
        return cls(*(count(note["usage"].get(name, 0)) for name in cls.__slots__))


@dataclass(slots=True, frozen=True)
class Steered:
    """What a run was told while it was under way. limits: that were set; limit: the one that a pause was for."""

    order: str
    limits: dict[str, Any]
    limit: str = ""

    @classmethod
    def of(cls, note: dict[str, Any]) -> Steered:
        """Return what a journaled note says."""
        said = note["steering"]
        return cls(str(said["order"]), dict(said.get("limits", {})), str(said.get("limit", "")))


@dataclass(slots=True, frozen=True)
class Close:
    """How a run went when it last ended, as its RunResult has it."""

    solved: bool
    stopped: str | None
    detail: str
    wrong: int | None
    answer: Any
    seconds: float

    @classmethod
    def of(cls, note: dict[str, Any]) -> Close:
        """Return what a journaled note says."""
        found = cls(*(note["close"][name] for name in cls.__slots__))
        if not isinstance(found.solved, bool) or not isinstance(found.stopped, str | None):
            raise TypeError(f"solved = {found.solved!r:.60}, stopped = {found.stopped!r:.60}")
        if found.wrong is not None:
            count(found.wrong)
        amount(found.seconds)
        return found


# As an object, where its kind is not known here.
Note = (
    Epoch | Calibration | Escalation | Ahead | Reserve | Batch | Receipt | ServerChange | Takes | Unshown | Steered
    | Close | dict[str, Any]
)  # fmt: skip

# Each kind of note: its type, and what the engine relies on in it.
_KINDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "header": (Epoch, ("version", "run", "task", "steps", "model", "k", "segments")),
    "calibration": (Calibration, ("draws", "valid", "wrong", "tokens_in", "tokens_out", "flags", "against", "k")),
    "usage": (Unshown, ("failed", "cancelled", "lost_in", "lost_out")),
    "epoch": (Epoch, ("number", "changed", "header")),
    "reserve": (Reserve, ("run", "step", "draws", "tokens", "cost")),
    "batch": (Batch, ("tag",)),
    "sample": (Receipt, ("run", "step", "draw", "spent")),
    "failure": (Receipt, ("run", "step", "draw", "detail", "spent")),
    "change": (ServerChange, ("what", "from", "to")),
    "takes": (Takes, ("model", "refused")),
    "escalation": (Escalation, ("step", "branch", "attempt", "rung", "reason", "change")),
    "ahead": (Ahead, ("step", "round", "rolls")),
    "steering": (Steered, ("order",)),
    "close": (Close, ("solved", "stopped", "detail", "wrong", "answer", "seconds")),
}


def note_of(note: dict[str, Any], path: object) -> Note:
    """Return a decoded note as its type. Raises JournalError for one that lacks something, or makes no sense."""
    kinds = [kind for kind in note if kind in _KINDS]
    if not kinds:
        return note
    for kind in kinds:
        content, names = note[kind], _KINDS[kind][1]
        if not isinstance(content, dict) or not all(name in content for name in names):
            raise JournalError(f"{path}: a {kind} note lacks some of {', '.join(names)}: it is damaged or forged.")
    kind = kinds[0]
    try:
        return _KINDS[kind][0].of(note)  # type: ignore[no-any-return]
    except SENSELESS as error:
        raise JournalError(f"{path}: a {kind} note contradicts itself: {error!r}. It is damaged or forged.") from None
