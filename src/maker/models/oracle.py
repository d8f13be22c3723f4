"""A simulated model: it knows the truth and errs as it is told, writing text as a model would.

Every experiment with it is *simulated* and says so. Its errors are of the kind that hurts: each
step has its own difficulty (`rho`), its wrong answers repeat one fixed rival per step (legal and
consistent, so that no flag can catch it), and invalid text comes in several kinds.

The text is a function of (task, step, state, draw, seed) alone: scalar, batched and resumed runs
see the same replies. `bind(task)` gives it the truth; nothing else ever does.

Not covered: real language. For that use the bundled or an HTTP model.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import anyio

from maker.decision.sample import Request, Sample
from maker.errors import TaskError
from maker.task.canonical import canonical
from maker.task.task import Task, guarded, task_name

_SEED_RANGE = 2.0**64
_RAMBLE = "Let me think about this again. "


@dataclass(slots=True)
class _Known:
    """What the oracle knows about the step of a request. A seed below `right` writes the right answer."""

    request: Request
    truth: Any
    right: int
    good: Sample
    bad: Sample | None = None


class Oracle:
    """A simulated model with a planted error rate.

    p: P(correct | valid), averaged over steps. v: P(valid). rho: intra-class correlation of errors;
    each step's own p is drawn from a Beta distribution with mean p (0: all steps alike, at most
    .99). hard: share of steps, picked by chance, whose p is p_hard. rivals: how many wrong answers
    share the errors of a step (1: always the same one).
    confusion: share of all samples that are over-long and hold the rival's answer; flags catch them.
    copies: share of samples that repeat one reply of the step, response id included. latency: mean
    seconds of a reply (above 0 the model is called concurrently). seed: of difficulties and rivals.
    """

    simulated = True
    replicable = True

    def __init__(
        self, p: float = 0.99, v: float = 1.0, rho: float = 0.0, rivals: int = 1, confusion: float = 0.0,
        copies: float = 0.0, latency: float = 0.0, seed: int = 0, hard: float = 0.0, p_hard: float = 0.4,
    ) -> None:  # fmt: skip
        shares = {"p": p, "v": v, "rho": rho, "confusion": confusion, "copies": copies}
        apart = {"hard": hard, "p_hard": p_hard} if hard else {}  # not in the name of a model without them
        for name, share in {**shares, "hard": hard, "p_hard": p_hard}.items():
            if not 0 <= share <= 1:
                raise TaskError(f"oracle: {name} = {share}: give a number from 0 to 1")
        if confusion + (1 - v) > 1 or rho > 0.99 or rivals < 1 or not 0 <= latency < math.inf:
            raise TaskError("oracle: confusion must fit into v; rho at most .99; rivals 1 or more; latency 0 or more")
        self.p, self.v, self.rho, self.rivals = p, v, rho, rivals
        self.confusion, self.copies, self.latency, self.seed = confusion, copies, latency, seed
        self.lockstep = latency == 0
        self.hard, self.p_hard = hard, p_hard
        settings = {**shares, "rivals": rivals, "seed": seed, **apart}
        self.name = "oracle:" + ",".join(f"{key}={value}" for key, value in settings.items())
        self._share = v - confusion  # of samples that are valid in every way
        # other seeds: below `wrong` the rival's answer, below `confused` a rambling reply with it, else invalid text
        self._wrong = int(self._share * _SEED_RANGE)
        self._confused = int(v * _SEED_RANGE)
        self._task: Task | None = None

    def bind(self, task: Task) -> None:
        """Learn the truth. Raises TaskError for a task without `truth`."""
        if not hasattr(task, "truth"):
            raise TaskError(f"task {task_name(task)} has no truth(state, step), which a simulated model needs")
        self._task = task
        self._render = getattr(task, "render", None) or _find_render(task)

    def _write(self, answer: Any, request: Request) -> Sample:
        text = str(guarded(self._render, request.address.step, "render", answer))
        return Sample(text, len(request.prompt) // 4, len(text) // 2)

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        """Answer every request; requests of one step that stand together share their work."""
        samples: list[Sample] = []
        while (start := len(samples)) < len(requests):
            first, end = requests[start], start + 1
            while end < len(requests) and _same_step(first, requests[end]):
                end += 1
            samples += self.at_once(first, [request.seed for request in requests[start:end]])
        if self.latency:
            await self._wait(requests)
        return samples

    def at_once(self, first: Request, seeds: Sequence[int]) -> list[Sample]:
        """Answer draws of one step that differ in number and seed alone. first: the request of the first one."""
        step = self._study(first)
        good, right = step.good, step.right
        samples = [good if seed < right else self._other(step, seed) for seed in seeds]
        if self.copies:
            samples = [self._copy(step, seed, sample) for seed, sample in zip(seeds, samples, strict=True)]
        return samples

    # -- one step ------------------------------------------------------------------------------

    def _study(self, request: Request) -> _Known:
        if self._task is None:
            raise TaskError("the oracle is not bound to a task: call bind(task) before draw")
        step = request.address.step
        truth = guarded(self._task.truth, step, "truth", request.state, step)  # type: ignore[attr-defined]
        p = self.p if not self.rho else self._own_p(request)
        if self.hard and self._hash(request, "hard") < self.hard * _SEED_RANGE:
            p = self.p_hard
        right = int(self._share * p * _SEED_RANGE)
        return _Known(request, truth, right, self._write(truth, request))

    def _own_p(self, request: Request) -> float:
        """Draw the step's own p from Beta(p c, (1 - p) c) with c = (1 - rho) / rho."""
        if self.p in (0.0, 1.0):
            return self.p
        import numpy as np  # noqa: PLC0415 -- numpy is loaded only where difficulties vary

        c = (1 - self.rho) / self.rho
        generator = np.random.Generator(np.random.Philox(key=self._hash(request, "difficulty")))
        return float(generator.beta(self.p * c, (1 - self.p) * c))

    def _hash(self, request: Request, purpose: str) -> int:
        """Return 64 bits that depend on task, step and state, never on the draw."""
        where = f"{self.seed}/{purpose}/{task_name(self._task)}/{request.address.step}/{request.prompt}"
        raw = where.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")

    # -- replies that are not right ------------------------------------------------------------------

    def _other(self, step: _Known, seed: int) -> Sample:
        if seed < self._wrong:
            if self.rivals > 1:
                return self._rival(step, seed)
            if step.bad is None:
                step.bad = self._rival(step, 0)
            return step.bad
        if seed < self._confused:
            bad = self._rival(step, 0)
            return Sample(_RAMBLE * 200 + str(bad.text), step.good.tokens_in, step.request.max_tokens - 1)
        return self._invalid(step, seed)

    def _rival(self, step: _Known, pick: int) -> Sample:
        """Return one of the step's fixed wrong answers, in an order that depends on the step alone."""
        request, index = step.request, step.request.address.step
        find = getattr(self._task, "rivals", None)
        wrong = list(guarded(find, index, "rivals", request.state, index)) if find else _others(step.truth)
        if not wrong:
            raise TaskError(f"step {index}: rivals returned no wrong answer, which a simulated model needs")
        first = self._hash(request, "rival") % len(wrong)
        chosen = wrong[(first + pick % min(self.rivals, len(wrong))) % len(wrong)]
        return self._write(chosen, request)

    def _invalid(self, step: _Known, seed: int) -> Sample:
        """Return text without a vote: malformed, cut off in the middle, or rambling to the cap."""
        text, tokens_in = str(step.good.text), step.good.tokens_in
        kind = seed % 3
        if kind == 0:
            return Sample(text[: len(text) // 2].replace("=", ":") + " ...", tokens_in, len(text) // 4)
        cut = text[: len(text) * 2 // 3] if kind == 1 else _RAMBLE * 200
        return Sample(cut, tokens_in, step.request.max_tokens, "length")

    def _copy(self, step: _Known, seed: int, sample: Sample) -> Sample:
        """Give every reply an id; with probability `copies` the id and text of the step's stored reply."""
        chance = int.from_bytes(hashlib.blake2b(b"copy%d" % seed, digest_size=8).digest(), "little")
        if chance >= self.copies * _SEED_RANGE:
            return replace(sample, response_id=f"r{seed:x}")
        stored = self._hash(step.request, "stored")
        kept = step.good if stored < step.right else self._rival(step, 0)
        return replace(kept, response_id=f"s{stored:x}")

    async def _wait(self, requests: Sequence[Request]) -> None:
        """Sleep as long as the slowest of the requests takes: between 0 and 2 latencies, by its seed."""
        slowest = max((request.seed >> 11) * 2.0**-53 for request in requests)
        await anyio.sleep(2 * self.latency * slowest)


def _find_render(task: Task) -> Any:
    """Return the inverse of the task's parse: bare text or JSON, whichever parses back to the truth."""
    state = guarded(task.initial_state, None, "initial_state")
    truth = guarded(task.truth, 0, "truth", state, 0)  # type: ignore[attr-defined]
    for render in (json.dumps, str):
        with suppress(Exception):  # a parser may raise anything at a form it does not know
            if canonical(task.parse(render(truth))) == canonical(truth):
                return render
    raise TaskError(
        f"task {task_name(task)}: neither the JSON of the truth nor its str parses back to the truth; "
        "give the task a render(answer) method, the inverse of parse"
    )


def _same_step(one: Request, other: Request) -> bool:
    return (
        one.address.step == other.address.step and one.state is other.state and one.prompt == other.prompt
        and one.max_tokens == other.max_tokens
    )  # fmt: skip


def _others(truth: Any) -> list[Any]:
    """Return made-up answers that are not the truth."""
    right = canonical(truth)
    wrong = [answer for answer in _twisted(truth) if canonical(answer) != right]
    if not wrong:
        raise TaskError(f"no wrong answers can be made up for {truth!r}: give the task a rivals(state, step) method")
    return wrong


def _twisted(truth: Any) -> list[Any]:
    """Return plausible wrong answers to a question whose task names no rivals."""
    if isinstance(truth, bool):
        return [not truth]
    if isinstance(truth, (int, float)):
        return [truth + 1, truth - 1, truth + 10, truth - 10] + ([truth / 2] if isinstance(truth, float) else [])
    if isinstance(truth, str):
        return [truth + truth[-1:], truth[1:] or "?", "not " + truth]
    if isinstance(truth, (list, tuple)) and truth:
        rest = list(truth)
        make = getattr(type(truth), "_make", type(truth))  # a named tuple takes its items one by one
        return [make([*rest[:i], wrong, *rest[i + 1 :]]) for i in range(len(rest)) for wrong in _twisted(rest[i])]
    return []
