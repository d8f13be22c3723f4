"""One upstream that many requests ask, and a vote on what it says.

An answer that has a form (a JSON schema), and calls of tools that are offered, are voted on by `vote`. Prose is asked
for once, since no two texts would agree, and marked so; with `strict`, its exact text is voted on. What is said beside
a call, or in place of one, is the first such reply's, and no vote is on it. The budget is one for all requests of a day
(UTC).

Promises: an undecided vote is never passed off as an answer: it is refused with its tally, or, with `plurality`, the
leader is given and marked as undecided. What is counted as used is all samples', not the winner's.

Not covered: who may ask (`guard.py`), and how requests are written (`asked.py`, `replies.py`).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from maker.api.vote import vote
from maker.decision.pool import BETWEEN, Weights, turns_of
from maker.decision.race import Verdict
from maker.decision.sample import Model, Reply, Request, Sample, Traits
from maker.errors import ModelError, TaskError, Undecided
from maker.sending.budget.limits import Budget, Limits, make_limits, must_have_prices
from maker.serving.asked import Question
from maker.serving.refused import refused
from maker.serving.schema import reader_of_schema
from maker.task.tools import Turn

PATIENCE = 30.0  # seconds that a request waits for an upstream that is gone
DAY = 86_400
_SHOWN = 20  # candidates in a reply

_Votes = list[tuple[Any, int]]  # by answer


@dataclass(slots=True, frozen=True)
class Rules:
    """How the proxy votes where a request says nothing else. strict, plurality: told at the top."""

    k: int = 3
    strict: bool = False
    plurality: bool = False
    max_cost: float | None = None  # US dollars a day
    max_calls: int | None = None  # a day
    max_tokens: int | None = None  # a day
    max_cost_per_key: float | None = None  # US dollars a day, of all requests with one key
    weights: Weights = ()  # of a pool's turns: votes that a draw counts, and k is in them


@dataclass(slots=True)
class Answered:
    """What a request is answered.

    decided: None where there was no vote. finish: why the text ends. votes: [{"answer", "votes"}, ...], leader first.
    calls: of tools, as a message of a chat has them; text: what is said beside them, None for nothing.
    """

    text: str | None
    voted: bool
    decided: bool | None
    finish: str
    seed: int
    votes: list[dict[str, Any]]
    margin: int
    samples: int
    flagged: int
    tokens_in: int
    tokens_out: int
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        """What the reply says of the vote."""
        names = ("voted", "decided", "votes", "margin", "samples", "flagged", "seed")
        return {name: getattr(self, name) for name in names}


class Heard:
    """A model that notes what it says; all else about it is the model's own."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.samples: list[Sample] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens of all samples, read and written."""
        samples = self.samples
        return sum(sample.tokens_in or 0 for sample in samples), sum(sample.tokens_out or 0 for sample in samples)

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Ask the model."""
        replies = await self._model.draw(requests)
        self.samples += [reply for reply in replies if isinstance(reply, Sample)]
        return replies


@dataclass(slots=True)
class Voter:
    """Asks one upstream for all. today: days since 1970, UTC."""

    model: Model
    rules: Rules
    today: Callable[[], int] = lambda: int(time.time() // DAY)
    _day: int = -1
    _budget: Budget = field(default_factory=Budget)
    _of_keys: dict[int, Budget] = field(default_factory=dict)

    def __post_init__(self) -> None:
        traits = Traits.of(self.model)
        if traits.needs_truth:
            raise TaskError(f"serve: {traits.name} answers the steps of a task only: name a model over HTTP")
        if self.rules.weights and len(self.rules.weights) != len(traits.turns):
            raise TaskError(
                f"serve: weights = {list(self.rules.weights)}: give one for each --model: {len(traits.turns) or 1}"
            )
        must_have_prices(Limits(), traits.prices, self.budget_of(0))

    @property
    def name(self) -> str:
        """The model's name as replies give it."""
        name = Traits.of(self.model).name
        return BETWEEN.join(one.rpartition("#")[2].removeprefix("openai:") for one in turns_of(name) or [name])

    @property
    def budget(self) -> Budget:
        """What may still be taken today."""
        if (day := self.today()) != self._day:
            rules = self.rules
            self._day = day
            self._budget = Budget(max_cost=rules.max_cost, max_calls=rules.max_calls, max_tokens=rules.max_tokens)
            self._of_keys = {}
        return self._budget

    def budget_of(self, key: int) -> Budget:
        """Return what requests with a key may still take today, of what all may."""
        whole, most = self.budget, self.rules.max_cost_per_key
        return whole if most is None else self._of_keys.setdefault(key, Budget(max_cost=most, within=whole))

    async def answer(self, question: Question, heard: Heard, key: int = 0) -> Answered:
        """Answer a question; `heard` then has all that the upstream said. key: the number of the client's.

        Raises Refused. Cancelled, it sends no more.
        """
        voted = question.schema is not None or question.tools is not None or self.rules.strict
        k = question.voting.get("k", self.rules.k) if voted else 1
        told = {name: value for name, value in question.voting.items() if name != "k"}
        asking = {"seed": secrets.randbits(63), **question.asking}
        if not voted:  # as the upstream would be asked, and taken as it comes
            asking |= {"flags": [], "temperature": question.asking.get("temperature")}
            told = {"max_flags": 1, **told}
        elif self.rules.weights:
            asking["weights"] = self.rules.weights
        if question.schema is not None:
            asking["answer"] = reader_of_schema(question.schema)
        if question.tools is not None:
            asking["tools"], asking["tool_choice"] = question.tools
        seed = int(asking["seed"])
        try:
            limits = make_limits({"patience": PATIENCE, **told})
            found: Verdict[Any] = await vote(
                question.prompt, model=heard, k=k, limits=limits, budget=self.budget_of(key), **asking
            )
        except Undecided as end:
            return self._undecided(end, heard, seed, voted=voted)
        except (TaskError, ModelError) as error:
            raise refused(error) from None
        if not voted:
            return self._once(heard, seed)
        return _answered(found.answer, list(found.votes.items()), found.margin, found.flagged, heard, seed)

    def _once(self, heard: Heard, seed: int) -> Answered:
        """Return the one reply as it came."""
        last = heard.samples[-1]
        given = _answered(last.text or "", [], 0, 0, heard, seed)
        given.voted, given.decided, given.finish = False, None, last.finish_reason or "stop"
        return given

    def _undecided(self, end: Undecided, heard: Heard, seed: int, *, voted: bool) -> Answered:
        """Return what is given in place of a decided answer. Raises Refused."""
        votes = list(end.tally.votes.items())
        why = refused(end, {"votes": _shown(votes), "margin": end.tally.margin, "samples": len(heard.samples),
                            "flagged": end.tally.flagged, "decided": False, "limit": end.limit,
                            "tokens": sum(heard.tokens)})  # fmt: skip
        if not voted and heard.samples:
            return self._once(heard, seed)
        if why.status != 422 or not self.rules.plurality or not votes:
            raise why from None
        leader = max(votes, key=lambda vote: vote[1])[0]
        if isinstance(leader, Turn):
            leader = leader.after(secrets.token_bytes(8))
        given = _answered(leader, votes, end.tally.margin, end.tally.flagged, heard, seed)
        given.decided = False
        return given


def _answered(answer: Any, votes: _Votes, margin: int, flagged: int, heard: Heard, seed: int) -> Answered:
    """Return an answer with the account of all samples."""
    calls = answer.message.get("tool_calls", []) if isinstance(answer, Turn) else []
    text = answer.text if isinstance(answer, Turn) else _written(answer)
    return Answered(
        text, True, True, "tool_calls" if calls else "stop", seed, _shown(votes), margin, len(heard.samples), flagged,
        *heard.tokens, calls,
    )  # fmt: skip


def _written(answer: Any) -> str:
    """Return an answer as the text of a reply; calls of tools as the list of them."""
    if isinstance(answer, Turn):
        answer = [{"name": call.name, "arguments": call.arguments} for call in answer.calls]
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _shown(votes: _Votes) -> list[dict[str, Any]]:
    """Return the first candidates, the leader first."""
    return [{"answer": _written(a), "votes": n} for a, n in sorted(votes, key=lambda vote: -vote[1])[:_SHOWN]]
