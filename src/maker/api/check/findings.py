"""What a short look at a model has shown, and whether it is fit to vote with. Pure.

A model is of no use where nothing can be read from it, or where it repeats itself: votes on copies prove nothing.
Everything else is said and can be lived with.

Not covered: looking (`visit.py`); whether its answers are any good, which `maker.estimate` says of a task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from maker.decision.flags import cut_off, thoughtful
from maker.decision.sample import Failure, Reply, Sample
from maker.models.takes import refused_in, served_as, told

ENOUGH_TOKENS = 16_384  # of a reply, for a model that thinks
OPTIONS = ("alpha", "beta")  # of the schema that is asked for where neither is an answer
STOPPED_AT = ","  # which stands in lists
FEWEST_DRAWS = 3  # that are equal and tell something


@dataclass(slots=True)
class Seen:
    """What came of the questions.

    first: the first reply. alone: replies to a question with many right answers, the first two with one seed, and
    their seconds; crowd: to the same question, all at once, and the seconds of all. formed: a reply under a schema.
    stopped: a reply that a text should have ended. takes: the note of what the model was found to take. cap, stop:
    the settings that were needed to be answered at all. ended: why not all was asked, "" where it was.
    """

    model: str
    priced: bool = False
    takes: Mapping[str, Any] = field(default_factory=dict)
    first: Reply | None = None
    alone: list[Reply] = field(default_factory=list)
    alone_seconds: list[float] = field(default_factory=list)
    formed: Reply | None = None
    stopped: Reply | None = None
    crowd: list[Reply] = field(default_factory=list)
    crowd_seconds: float = 0.0
    cap: int = 0
    stop: tuple[str, ...] = ()
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    ended: str = ""

    @property
    def samples(self) -> list[Sample]:
        """All replies but failures."""
        replies = (self.first, *self.alone, self.formed, self.stopped, *self.crowd)
        return [reply for reply in replies if isinstance(reply, Sample)]

    @property
    def drawn(self) -> list[str | None]:
        """The texts of replies to one question that were drawn with seeds of their own."""
        return [reply.text for reply in (*self.alone[1:], *self.crowd) if isinstance(reply, Sample)]


@dataclass(slots=True, frozen=True)
class Findings:
    """What a model is like. None: it did not show.

    usable: it is fit to vote with; remedy: what to do where it is not. served_as: the name that it answers under, if
    another. taken: what it takes, in words. thought: the most tokens it thought before an answer, 0 for none, 1 where
    nobody counts them.
    schema: "enforced", "not enforced", or "told in words". stop: "obeyed", "ignored", or "cut here" where the server
    refuses it. logprobs: "given", "not given", "refused". ids: "differ", "repeat", "tell nothing". seeds: "obeyed",
    "not obeyed", "refused". cached: a request that was repeated brought the same reply, not another like it.
    draws, distinct: replies to one question with many right answers. latency: seconds of such a reply.
    at_once: how many were asked together, refused: those that failed; gain: replies a second, times those of one
    alone. settings: what a call should be given; code: such a call.
    """

    model: str
    usable: bool
    remedy: str
    served_as: str | None
    takes: Mapping[str, Any]
    taken: str
    thought: int | None
    schema: str | None
    stop: str | None
    logprobs: str | None
    ids: str | None
    seeds: str | None
    cached: bool | None
    draws: int
    distinct: int
    latency: float | None
    tokens_per_second: float | None
    at_once: int
    refused: int
    gain: float | None
    priced: bool
    calls: int
    tokens: int
    seconds: float
    ended: str
    settings: dict[str, Any]
    code: str

    @property
    def exit_code(self) -> int:
        """What the command line leaves with: 0 for a model of use, else 5."""
        return 0 if self.usable else 5

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker check --json` prints."""
        return {**asdict(self), "exit_code": self.exit_code}

    @classmethod
    def of(cls, seen: Seen, spec: str | None = None) -> Findings:
        """Return what was seen, judged. spec: what the model is called in the call that is shown."""
        remedy, settings = _remedy(seen), _settings(seen)
        seconds, gain = _pace(seen)
        told_out = [reply.tokens_out for reply in seen.alone if isinstance(reply, Sample)]
        all_told = bool(told_out) and None not in told_out and sum(seen.alone_seconds) > 0
        return cls(
            seen.model, not remedy, remedy,
            next((name for reply in seen.samples if (name := served_as(seen.model, reply.model))), None),
            dict(seen.takes), told(_short(seen.model), seen.takes), _thought(seen), _schema(seen), _stop(seen),
            _logprobs(seen), _ids(seen.samples), *_seeds(seen), len(seen.drawn), len(set(seen.drawn)),
            seconds, sum(count or 0 for count in told_out) / sum(seen.alone_seconds) if all_told else None,
            len(seen.crowd), sum(isinstance(reply, Failure) for reply in seen.crowd), gain, seen.priced, seen.calls,
            seen.tokens, seen.seconds, seen.ended, settings, call(spec, settings),
        )  # fmt: skip


def call(spec: str | None, settings: Mapping[str, Any]) -> str:
    """Return a line of code that asks a model."""
    given = [f"{name}={value!r}" for name, value in settings.items()]
    model = "model" if spec is None else json.dumps(spec, ensure_ascii=False)
    return f'maker.vote_sync("What is 6 x 7?", {", ".join([f"model={model}", "answer=int", *given])})'


def answers(reply: Reply | None) -> bool:
    """Say whether a reply holds an answer that came to its end."""
    return isinstance(reply, Sample) and bool((reply.text or "").strip()) and not cut_off(reply)


# -- one finding each ----------------------------------------------------------------------------------


def _remedy(seen: Seen) -> str:
    """Return what is wrong and the one thing to do about it, "" for a model of use."""
    first, drawn = seen.first, seen.drawn
    if first is None:
        return seen.ended
    if isinstance(first, Failure):
        return first.detail + (f". It asks to wait {first.wait:,.0f} s: look again then" if first.wait else "")
    if not answers(first):
        return _silent(first, seen.cap)
    if len(drawn) >= FEWEST_DRAWS and len(set(drawn)) == 1:
        return (f"all {len(drawn)} replies to a question with many right answers are the same, and votes on copies "
                "prove nothing: turn off the cache between here and the model, or its fixed temperature")  # fmt: skip
    if _ids(seen.samples) == "repeat":
        return "different replies bear one id, and count as copies: give flags without maker.flags.copied"
    return ""


def _silent(first: Sample, cap: int) -> str:
    """Return why a reply holds no answer."""
    if first.finish_reason == "tool_calls":
        return "tool calls came instead of text: take the tools out of what is sent, or another model"
    if thoughtful(first):
        return (f"no answer within {cap:,} tokens, it thinks longer: let it think less (reasoning_effort), or give "
                f"max_tokens={ENOUGH_TOKENS}")  # fmt: skip
    return f"no text came that ends (finish reason {first.finish_reason}): take a model that answers in text"


def _settings(seen: Seen) -> dict[str, Any]:
    """Return the settings that a call to this model should be given."""
    settings: dict[str, Any] = {}
    if "temperature" in refused_in(seen.takes):
        settings["temperature"] = None
    if any(map(thoughtful, seen.samples)) and not seen.takes.get("thinks"):  # otherwise it is given room unasked
        settings["max_tokens"] = ENOUGH_TOKENS
    if seen.stop:
        settings["stop"] = list(seen.stop)
    return settings


def _thought(seen: Seen) -> int | None:
    """Return the most tokens that were thought before an answer."""
    if not seen.samples:
        return None
    return max((sample.tokens_reasoning or 1 if thoughtful(sample) else 0) for sample in seen.samples)


def _schema(seen: Seen) -> str | None:
    if not isinstance(seen.formed, Sample):
        return None
    if seen.takes.get("form") in ("object", "words"):
        return "told in words"
    try:
        return "enforced" if json.loads(seen.formed.text or "") in OPTIONS else "not enforced"
    except (ValueError, RecursionError):
        return "not enforced"


def _stop(seen: Seen) -> str | None:
    if not isinstance(seen.stopped, Sample) or not any(STOPPED_AT in (text or "") for text in seen.drawn):
        return None  # it stands in no reply
    if "stop" in refused_in(seen.takes):
        return "cut here"
    return "ignored" if STOPPED_AT in (seen.stopped.text or "") else "obeyed"


def _logprobs(seen: Seen) -> str | None:
    if not seen.samples:
        return None
    if any(sample.logprob is not None for sample in seen.samples):
        return "given"
    return "refused" if "logprobs" in refused_in(seen.takes) else "not given"


def _ids(samples: Sequence[Sample]) -> str | None:
    """Return what the ids of replies tell; only texts that differ show that an id was given twice."""
    if not samples:
        return None
    texts: dict[str, set[str | None]] = {}
    for sample in samples:
        if sample.response_id is not None:
            texts.setdefault(sample.response_id, set()).add(sample.text)
    if not texts:
        return "tell nothing"
    return "repeat" if any(len(said) > 1 for said in texts.values()) else "differ"


def _seeds(seen: Seen) -> tuple[str | None, bool | None]:
    """Return whether seeds are obeyed, and whether a repeated request was answered by the very same reply."""
    pair = [reply for reply in seen.alone[:2] if isinstance(reply, Sample)]
    if len(pair) < 2:
        return None, None
    one, two = pair
    cached = one.response_id is not None and one.response_id == two.response_id
    if "seed" in refused_in(seen.takes):
        return "refused", cached
    if one.text != two.text:
        return "not obeyed", cached
    return ("obeyed" if len(set(seen.drawn)) > 1 and not cached else None), cached


def _pace(seen: Seen) -> tuple[float | None, float | None]:
    """Return the seconds of a reply alone, and how many times the replies a second come where several are asked."""
    alone = median(seen.alone_seconds) if seen.alone_seconds else None
    came = sum(isinstance(reply, Sample) for reply in seen.crowd)
    if alone is None or not came or seen.crowd_seconds <= 0:
        return alone, None
    return alone, came * alone / seen.crowd_seconds


def _short(model: str) -> str:
    """Return the name of a model without its address."""
    return model.rpartition("#")[2]
