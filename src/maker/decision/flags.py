"""Red flags: (sample, step, earlier samples) -> RedFlag or None, plain callables in a chain.

A flagged sample is thrown away and drawn again, never repaired. A flag smells confusion (a reply
too long, cut off, contradictory, against the rules); it never knows the right answer, because it
sees `Step`, which holds none. `earlier` are the step's samples with smaller draw numbers, so that
copies can be seen too. The first flag of the chain that speaks names the reason.

Whatever the chain, a reply that cannot be parsed has no vote: it counts as `malformed`.

Not covered: a confident, well-formed, legal, wrong answer. Only voting helps against that one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maker.decision.sample import Reply, Sample
from maker.decision.step import Step
from maker.errors import TaskError
from maker.task.lines import Ambiguous
from maker.task.tools import BadCall

COPY_NATS = 20.0  # two independent draws of a text this improbable agree once in e^20 = 5e8 times
_BYTES_PER_TOKEN = 4  # a rough count for models that do not report tokens
_MAY_VOTE = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence", "completed", "", None})
_CUT_OFF = re.compile(r"length|max_.*tokens|token_limit|incomplete|context", re.I)
_REFUSAL = re.compile(
    r"\s*(i['’]?m sorry|sorry,|i (can(no|['’])t|am unable|am not able|won['’]t)|as an ai\b)", re.IGNORECASE
)

# Signs of a reply that wanders, as words.
_SWITCHES = re.compile(
    r"\b(wait|alternatively|on second thought|let me (re-?check|start over|try again))\b", re.IGNORECASE
)
_IMPOSSIBLE = re.compile(r"\b(impossible|unsolvable|not possible|no (valid )?solution|cannot be (done|solved))\b", re.I)
_FINAL = re.compile(
    r"(?:\b(?:final answer|answer)\b[ \t]{0,3}(?:is|:|=)|\\boxed\{)[ \t*$]{0,9}([^\s*$}]{1,80})", re.IGNORECASE
)


@dataclass(slots=True, frozen=True)
class RedFlag:
    """Why a sample may not vote: a kind, counted and reported, and one line for a person."""

    kind: str
    detail: str = ""


Flag = Callable[[Sample, Step, Sequence[Sample]], RedFlag | None]


def empty(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a reply without content; one that was cut off in its thought is `truncated`."""
    if sample.text is None or not sample.text.strip():
        if cut_off(sample) and (sample.reasoning or sample.tokens_reasoning):
            return None
        tools = sample.finish_reason in ("tool_calls", "function_call")
        return RedFlag("empty", "tool calls came instead of text" if tools else "the reply has no text")
    return None


def refused(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a refusal: the server's content filter, or an apology where an answer should be."""
    if sample.finish_reason == "content_filter":
        return RedFlag("refused", "stopped by the server's content filter")
    if step.read(sample.text).key is None and _REFUSAL.match((sample.text or "")[:500]):
        return RedFlag("refused", "the reply declines to answer")
    return None


def truncated(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a reply that did not come to its end, even if it looks whole: by its finish reason or at the token cap.

    Finish reasons that nobody knows are ends of another kind: such a reply is `unfinished`.
    """
    finish = sample.finish_reason
    if finish not in _MAY_VOTE and str(finish).lower() not in _MAY_VOTE:
        return RedFlag("truncated" if cut_off(sample) else "unfinished", f"finish reason {finish}")
    if sample.tokens_out is not None and (tokens := length_of(sample)) >= step.token_cap:
        return RedFlag("truncated", f"{tokens} tokens, the cap is {step.token_cap}")
    return None


def cut_off(sample: Sample) -> bool:
    """Say whether a reply met the limit of its tokens, by its finish reason."""
    return _CUT_OFF.search(str(sample.finish_reason)) is not None


def cut_in_thought(sample: Sample) -> bool:
    """Say whether a reply was cut off before its answer began."""
    return not sample.text and cut_off(sample)


def thoughtful(reply: Reply) -> bool:
    """Say whether a reply shows that its model thinks before it answers."""
    if not isinstance(reply, Sample):
        return False
    return reply.reasoning is not None or bool(reply.tokens_reasoning) or cut_in_thought(reply)


def length_of(sample: Sample) -> int:
    """Return the tokens of a reply's answer, without its thought, or a rough count where the model did not say."""
    if sample.tokens_out is None:
        return len(sample.text or "") // _BYTES_PER_TOKEN
    return sample.tokens_out - (sample.tokens_reasoning or 0)


def over_long(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a rambling reply: more tokens than `long_answer`, real ones where the model reports them."""
    tokens = length_of(sample)
    if tokens > step.long_answer:
        return RedFlag("over_long", f"{tokens} tokens, more than {step.long_answer}")
    return None


def ambiguous(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a reply that holds several distinct answers."""
    fault = step.read(sample.text).fault
    return RedFlag("ambiguous", str(fault)) if isinstance(fault, Ambiguous) else None


def malformed(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a reply that cannot be parsed; one whose calls of tools do not fit is a `bad-call`."""
    reading = step.read(sample.text)
    if reading.key is None:
        bad_call = isinstance(reading.fault, BadCall)
        return RedFlag("bad-call" if bad_call else "malformed", described(reading.fault))
    return None


def illegal(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag an action that the task's rules do not allow in this state."""
    return None if step.legal(sample.text) else RedFlag("illegal", "the rules do not allow this action here")


def inconsistent(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag an action whose claimed consequence is not what the task's own `apply` gives."""
    if step.consistent(sample.text):
        return None
    return RedFlag("inconsistent", "the claimed next state does not follow from the action")


def copied(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a copy of an earlier sample: the same response id, or the same very improbable text.

    Short honest answers are often equal; equality alone is never a copy. Nor is it below temperature 1: what
    servers call the probability of a text is that at temperature 1, and colder draws repeat improbable texts.
    """
    if sample.response_id is not None and any(s.response_id == sample.response_id for s in earlier):
        return RedFlag("copied", f"response id {sample.response_id} was seen before")
    if improbable(sample, step) and any(s.text == sample.text for s in earlier):
        return RedFlag("copied", f"the same text was seen before, though chance repeats it once in e^{COPY_NATS:.0f}")
    return None


def switch_words(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a reply that changes its mind half way: "wait", "alternatively"."""
    found = _SWITCHES.search(sample.text or "")
    return RedFlag("switch_words", found[0]) if found else None


def several_finals(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a reply that gives more than one final answer, and not the same each time."""
    found = dict.fromkeys(answer.rstrip(".,;").replace(",", "") for answer in _FINAL.findall(sample.text or ""))
    return RedFlag("several_finals", ", ".join(found)[:80]) if len(found) > 1 else None


def impossible(sample: Sample, step: Step, earlier: Sequence[Sample]) -> RedFlag | None:
    """Flag a reply that says it cannot be done."""
    found = _IMPOSSIBLE.search(sample.text or "")
    return RedFlag("impossible", found[0]) if found else None


def described(fault: Exception | None) -> str:
    """Return a parser's complaint in one line, even if it cannot say what it is."""
    try:
        return f"{type(fault).__name__}: {fault}"[:200]
    except Exception:  # noqa: BLE001 -- the parser's exception is foreign code too
        return type(fault).__name__


def improbable(sample: Sample, step: Step) -> bool:
    """Say whether a text is so improbable that chance does not repeat it."""
    return sample.logprob is not None and sample.logprob < -COPY_NATS and step.temperature >= 1


DEFAULT: tuple[Flag, ...] = (
    refused, empty, truncated, over_long, ambiguous, malformed, illegal, inconsistent, copied,
)  # fmt: skip
PAPER: tuple[Flag, ...] = (over_long, malformed)
# In no chain unless they are named: whether one pays is for `maker experiment detectors` to say, of the model at hand.
SMELLS: dict[str, Flag] = {
    "switch-words": switch_words, "several-finals": several_finals, "impossible": impossible,
}  # fmt: skip
_CHAINS = {"default": DEFAULT, "paper": PAPER, **{name: (flag,) for name, flag in SMELLS.items()}}

# These look at the step and at the text, finish reason and tokens of the sample alone: asked once, they say the same
# again of a sample that has the same.
_SELF_CONTAINED = frozenset((*DEFAULT, *SMELLS.values())) - {copied}


def chain(flags: str | Sequence[Flag | str] | None) -> tuple[Flag, ...]:
    """Return the flags meant: None is the default chain, "paper" the published one, a list its flags in order.

    In a list, or with commas in one text, "default", "paper" and the names of SMELLS stand for their flags. Raises
    TaskError for anything else.
    """
    if flags is None:
        return DEFAULT
    made: list[Flag] = []
    for one in flags.split(",") if isinstance(flags, str) else flags:
        named = _CHAINS.get(one) if isinstance(one, str) else (one,) if callable(one) else None
        if named is None:
            raise TaskError(
                f"flags = {flags!r}: give None, or a list (names with commas between them) of {', '.join(_CHAINS)}, "
                "and in code of callables (sample, step, earlier)"
            )
        made += named
    return tuple(made)


def judge(sample: Sample, step: Step, earlier: Sequence[Sample], flags: Sequence[Flag]) -> RedFlag | None:
    """Return the first flag that speaks, or None for a sample that may vote.

    What a flag itself raises is a bug in that flag: a TaskError naming it, never a red flag.
    """
    flag: Flag | None = None
    try:
        for flag in flags:
            red = flag(sample, step, earlier)
            if red is not None:
                return red
    except TaskError:
        raise
    except Exception as error:
        name = flag_name(flag) if flag else ""
        raise TaskError(f"step {step.index}: flag {name} raised {type(error).__name__}: {error}") from error
    return None if step.read(sample.text).key is not None else malformed(sample, step, earlier)


def comparing(flags: Sequence[Flag]) -> tuple[Flag, ...]:
    """Return the flags that compare with earlier samples, and could say otherwise of the same sample later."""
    return tuple(flag for flag in flags if flag not in _SELF_CONTAINED)


def flag_name(flag: Flag) -> str:
    """Return a flag's name, as it enters the run's fingerprint."""
    return str(getattr(flag, "__name__", type(flag).__name__))


BUILT_IN = {flag_name(flag): flag for flag in (*DEFAULT, *SMELLS.values())}
