"""One call against voted steps: the sum of two long numbers, by one model at one temperature; code checks both.

Promises: both get the same numbers, so long that by the pace of the first replies all is over in two minutes; of a
model too slow for that it is said beforehand. One call is asked well and read kindly: it may think aloud, has as long
as the steps should take, and the sum counts wherever it stands. The questions of the steps are tried first; a kind of
them that the model gets wrong more often than right is named, and no votes are wasted on it. What is said of the end
is said of these two numbers alone, also where maker does not win.

Not covered: its looks (`cli/commands/demo.py`); other work, and more tries (`tests/proof/proof.py`).
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from maker.api.map import map as ask_each
from maker.api.run import run
from maker.api.sync import twin
from maker.api.vote import vote
from maker.decision.race import Verdict
from maker.decision.sample import AnyModel
from maker.engine.result import Progress, RunResult
from maker.errors import ModelError, Undecided
from maker.task.canonical import jsonable
from maker.task.load import load_task

TEMPERATURE, K = 0.7, 3
FEWEST, MOST = 12, 40  # digits of a summand
SECONDS, FOR_ONE, FOR_STEPS = 115.0, 45.0, 50.0  # of all, of the one call at most, of the steps as far as foreseen
DRAWS = 2 * K * 1.1  # replies a digit: two questions, and now and then one more
FIRST, TRIED = 2, 10  # questions while a server may have to start; those that show its pace, as many at once as steps
MOST_TOKENS = 1024  # of a reply
EMPTY = "its reply was empty"
LONG = 10**6  # a number from here on stands in no reply by chance
ALOUD = "{}\n\nThink step by step, and write the result in the last line."  # asked so, one call does best


def holds(reply: str, right: list[int]) -> bool:
    """Say whether a reply has the answer: anywhere in it, or, where that could be chance, as its last number."""
    if len(right) == 1 and right[0] >= LONG:
        whole = re.compile(rf"(?<!\d){right[0]}(?!\d)")
        return any(whole.search(text) for text in (reply, _joined(reply)))
    found = [int(number) for number in re.findall(r"-?\d{1,4000}", reply)]
    if len(right) == 1:
        return found[-1:] == right
    return any(found[at : at + len(right)] == right for at in range(len(found)))


def _joined(reply: str) -> str:
    """Return a reply without what divides long numbers, as in 1,234,567."""
    return re.sub(r"(?<=\d)[,_ ](?=\d)", "", reply)


@dataclass(frozen=True)
class Call:
    """What one call brought. answer: the sum, where it is there, else the last number; None of none.

    reply: its text; "" where none came, and `ended` says why. tokens: None where they are not known.
    """

    reply: str
    right: bool
    answer: int | None
    tokens: int | None
    seconds: float
    ended: str = ""


@dataclass(frozen=True)
class Tried:
    """How one kind of question went before the steps: how many were asked, and right; the first that was not."""

    asked: int
    right: int
    wrong: tuple[str, str] | None  # the question, and the reply

    @property
    def hopeless(self) -> bool:
        """Whether it was wrong more often than right: then votes make it worse."""
        return 2 * self.right < self.asked


@dataclass(frozen=True)
class SideBySide:
    """Both, on the same two numbers. run: None where the trial showed a kind of question that the model cannot do.

    tried: by kind of question. slips: steps that were decided wrongly, by kind.
    """

    task: Any
    tried: dict[str, Tried]
    call: Call
    run: RunResult | None
    slips: dict[str, int]

    @property
    def right(self) -> int:
        """The sum."""
        return int(self.task.x + self.task.y)

    @property
    def exit_code(self) -> int:
        """What the command line leaves with: as a run, and 2 where there was none to win."""
        return 2 if self.run is None else self.run.exit_code

    @property
    def verdict(self) -> str:
        """What came of it, in a sentence or two."""
        if self.run is None:
            kinds = " and ".join(f"'{name}'" for name, kind in self.tried.items() if kind.hopeless)
            return (f"this model gets questions of the kind {kinds} wrong more often than right, and no number of "
                    "votes mends that: take another model, or cut the steps finer.")  # fmt: skip
        if self.run.stopped:
            done = f"{self.run.steps} of {self.task.steps} steps in {self.run.seconds:.0f} s"
            return f"maker did not finish ({self.run.stopped}: {done}), and gives no answer rather than a guess."
        if not self.run.solved:
            kinds = ", ".join(f"{count} of the kind '{kind}'" for kind, count in self.slips.items())
            winner = "one call wins here" if self.call.right else "neither is right"
            return f"{winner}: maker decided steps wrongly ({kinds}). A larger k helps where p is above one half."
        if self.call.right:
            return ("both are right: for numbers of this length one call of this model is enough, and it is cheaper. "
                    "Maker is for longer work.")  # fmt: skip
        if self.call.ended:
            return f"maker is right; one call gave no answer: {self.call.ended}."
        return "maker is right, one call is not."

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker demo --model --json` prints."""
        call, run = self.call, self.run
        return {
            "solved": bool(run and run.solved), "x": jsonable(self.task.x), "y": jsonable(self.task.y),
            "right": jsonable(self.right), "verdict": self.verdict,
            "tried": {name: {"asked": kind.asked, "right": kind.right} for name, kind in self.tried.items()},
            "one_call": {"right": call.right, "answer": jsonable(call.answer), "tokens": call.tokens,
                         "ended": call.ended, "seconds": round(call.seconds, 3), "reply": call.reply},
            "maker": None if run is None else run.as_json(), "wrong_kinds": self.slips, "exit_code": self.exit_code,
        }  # fmt: skip


async def side_by_side(
    model: AnyModel, *, seed: int = 0, tell: Callable[[str], object] = lambda _: None,
    progress: Callable[[Progress], None] | None = None, clock: Callable[[], float] = time.monotonic,
) -> SideBySide:  # fmt: skip
    """Add two long numbers with a model that reads text, in one call and by voted steps.

    tell: called with a line before each part. progress: as for `run`, of the steps. clock: for the pace.

    Returns both. Raises TaskError for an unknown model, ModelError for one that cannot be used or is lost in the
    trial. Cancelled, it leaves nothing open, and nothing is kept.
    """
    begun = clock()
    drawn = random.Random(seed)  # noqa: S311 -- chooses problems
    asking: dict[str, Any] = {"model": model, "seed": seed, "temperature": TEMPERATURE, "max_tokens": MOST_TOKENS}
    tell(f"a trial: {FIRST + TRIED} questions like those of the steps")
    tried, pace = await _trial(drawn, clock, asking)
    digits = max(FEWEST, min(MOST, int(FOR_STEPS / max(DRAWS * pace, 1e-9))))
    task = _sum_of(drawn, digits)
    foreseen = digits * DRAWS * pace
    slow = foreseen > FOR_STEPS
    for_one = max(FOR_ONE, foreseen)
    late = f" (slow: it may take {(for_one + 2 * foreseen) / 60:.0f} minutes)" if slow else ""
    tell(f"{pace:.2f} s a reply, so {digits} digits{late}. One call: {for_one:.0f} s at most")
    call = await _one_call(task, for_one, clock, asking)
    if any(kind.hopeless for kind in tried.values()):
        return SideBySide(task, tried, call, None, {})
    tell(f"maker: {task.steps} steps, {K} votes ahead each")
    left = 2 * foreseen if slow else max(1.0, SECONDS - (clock() - begun))
    result = await run(task, k=K, progress=progress, limits={"max_seconds": left}, **asking)
    return SideBySide(task, tried, call, result, {} if result.solved else _slips(task, result.verdicts()))


side_by_side_sync = twin(side_by_side)


def _sum_of(drawn: random.Random, digits: int) -> Any:
    x, y = (drawn.randrange(10 ** (digits - 1), 10**digits) for _ in "xy")
    return load_task("addition", x=x, y=y, design="questions")


async def _trial(
    drawn: random.Random, clock: Callable[[], float], asking: dict[str, Any]
) -> tuple[dict[str, Tried], float]:
    """Ask what steps would ask, once each; return how each kind went, and seconds a reply."""
    task = _sum_of(drawn, FIRST + TRIED)
    state, steps = task.initial_state(), []
    for step in range(FIRST + TRIED):
        truth = task.truth(state, step)
        steps.append((task.kind(state, step), task.prompt(state, step), truth))
        state = task.apply(state, truth)
    replies: list[str] = []
    began = clock()
    for part in (steps[:FIRST], steps[FIRST:]):
        began = clock()
        said = await ask_each(
            "{item}", [prompt for _, prompt, _ in part], k=1, flags=[], parse=str,
            limits={"max_flags": 1, "max_seconds": SECONDS, "concurrency": K}, **asking,
        )  # fmt: skip
        if said.stopped:
            late = f"{len(part)} short questions took more than {SECONDS:.0f} s; `maker check` says what a reply takes"
            why = late if said.stopped == "max_seconds" else said.result.detail
            raise ModelError(f"demo: the model was given up in the trial, and nothing is kept: {why}")
        came = {verdict.step: verdict.answer for verdict in said}
        replies += [came.get(at, "") for at in range(len(part))]
    return _kinds(task, steps, replies), (clock() - began) / TRIED


def _kinds(task: Any, steps: list[tuple[str, str, int]], replies: list[str]) -> dict[str, Tried]:
    """Grade the replies of the trial: those count that could have voted for the truth."""
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    wrong: dict[str, tuple[str, str]] = {}
    for (kind, prompt, truth), reply in zip(steps, replies, strict=True):
        asked[kind] += 1
        if _read(task, reply) == truth:
            right[kind] += 1
        else:
            wrong.setdefault(kind, (prompt, reply))
    return {kind: Tried(asked[kind], right[kind], wrong.get(kind)) for kind in asked}


def _read(task: Any, reply: str) -> int | None:
    try:
        return int(task.parse(reply))
    except ValueError:
        return None


async def _one_call(task: Any, seconds: float, clock: Callable[[], float], asking: dict[str, Any]) -> Call:
    """Ask for the whole sum at once; that no reply came in time is no failure."""
    began = clock()
    try:
        said = await vote(
            ALOUD.format(f"What is {task.x} + {task.y}?"), k=1, flags=[], parse=str,
            limits={"max_flags": 1, "max_seconds": seconds}, **asking,
        )  # fmt: skip
    except Undecided as end:
        why = f"no reply within {seconds:.0f} s" if end.limit == "max_seconds" else EMPTY
        return Call("", right=False, answer=None, tokens=None, seconds=clock() - began, ended=why)
    total, reply = task.x + task.y, said.answer
    found = [int(number) for number in re.findall(r"\d{1,4000}", _joined(reply))]
    right = holds(reply, [total])
    last = next((number for number in reversed(found) if number >= LONG), found[-1] if found else None)
    usage = said.usage
    tokens = usage.tokens_in + usage.tokens_out if usage else None
    return Call(reply, right, total if right else last, tokens, clock() - began, "" if reply.strip() else EMPTY)


def _slips(task: Any, verdicts: Iterable[Verdict[Any]]) -> dict[str, int]:
    """Count the steps that were decided wrongly, by kind; each is judged by the state that it came from."""
    state, wrong = task.initial_state(), Counter[str]()
    for verdict in verdicts:
        if verdict.answer != task.truth(state, verdict.step):
            wrong[task.kind(state, verdict.step)] += 1
        state = task.apply(state, verdict.answer)
    return dict(wrong)
