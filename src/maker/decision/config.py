"""What a run is told: how to vote and how to ask.

Not covered: where to stop (`sending/budget/limits.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from maker.decision.pool import MOST_WEIGHT
from maker.errors import TaskError

M = TypeVar("M", bound=BaseModel)

MOST_VOTES = 30_000  # of one step; what a record can number
KeepSamples = Literal["all", "flagged", "none"]
_Text = Annotated[str, StringConstraints(min_length=1)]
_YOUNG = frozenset(
    {"system", "stop", "examples", "worst_case", "weights"}
)  # fields that came after journals were written: named only where they say something


def _pairs(given: Any) -> Any:
    """Return pairs as tuples, where they are lists: as JSON has them."""
    if not isinstance(given, (list, tuple)):
        return given
    return tuple(tuple(pair) if isinstance(pair, list) else pair for pair in given)


def _by_turn(given: Any) -> Any:
    """Return weights as a tuple, where they are a list, as JSON has them; none where each is one, as without them."""
    told = tuple(given) if isinstance(given, list) else given
    return () if isinstance(told, tuple) and all(type(one) is int and one == 1 for one in told) else told


class Frozen(BaseModel):
    """The base of what users give: immutable, strict, and refusing unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Config(Frozen):
    """How a run decides: all that can change a decision. A resume with other values is refused.

    k: votes the winner must be ahead by, or "auto": from a calibration and `target`, the wanted
    probability that the whole run is right; or "table": from the same, a margin for each total of votes that widens
    with disagreement. worst_case: the target is reached whatever the shape of difficulty, or no k is chosen.
    weights: of a pool, how many votes a draw counts, by turn, and k counts those; or "calibrated": from the calibration
    that chooses k.
    seed: of all draws. temperature: of all draws, None for the server's
    own, except that `first_temperature`, if given, is that of the first draw of each step. token_cap: the most
    tokens a reply may have (`max_tokens` where one asks); long_answer: a reply with more is flagged `over_long`.
    stop: texts that end a reply. system: said to the model before every question; examples: questions with their
    answers, shown to it before every question, but not before the parts of a finer step. flags: the names of the red
    flags in order. paraphrase: draw d asks in view d mod P. keep_samples: whose texts the journal stores in full.
    """

    k: Annotated[int, Field(ge=1, le=MOST_VOTES // 20)] | Literal["auto", "table"] = "auto"
    target: float = Field(default=0.95, gt=0, lt=1)
    worst_case: bool = False
    weights: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MOST_WEIGHT)], ...] | Literal["calibrated"], BeforeValidator(_by_turn)
    ] = ()
    seed: int = Field(default=0, ge=0, lt=2**64)
    temperature: float | None = Field(default=0.1, ge=0, le=10)
    first_temperature: float | None = Field(default=None, ge=0, le=10)
    token_cap: int = Field(default=1024, ge=1)
    long_answer: int = Field(default=750, ge=1)
    stop: Annotated[
        tuple[_Text, ...], BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
    ] = ()
    system: _Text | None = None
    examples: Annotated[tuple[tuple[_Text, _Text], ...], BeforeValidator(_pairs)] = ()
    flags: tuple[str, ...] = ()
    segments: int = Field(default=1, ge=1)
    paraphrase: bool = False
    keep_samples: KeepSamples = "all"

    def told(self) -> dict[str, Any]:
        """Return the settings as a journal's header holds them: the young ones only where they are not at default."""
        young = {name for name in _YOUNG if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(mode="json", exclude=young)


def validated(model: type[M], values: dict[str, Any]) -> M:
    """Build a pydantic model, mapping its complaint to a one-line TaskError."""
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = first["loc"][0] if first["loc"] else "?"
        known = ", ".join(model.model_fields)
        raise TaskError(
            f"{model.__name__}: {where} = {first.get('input')!r}: {first['msg']}. Fields are: {known}."
        ) from None
