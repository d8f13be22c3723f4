"""Why an answer won, in the words of a person: `Verdict.explain()`, its repr, and its table in a notebook.

Not covered: what voting as such cannot show; a line names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from maker.decision.telling.rows import brief, html_of

if TYPE_CHECKING:
    from maker.decision.race import Verdict

RIGHT = 9  # votes to one that is wrong, in the example that says how sure a margin makes


def explained(verdict: Verdict[Any]) -> str:
    """Return five lines: what won, against what, on which draws, how sure that makes, and what it took."""
    ranked = sorted(verdict.votes.items(), key=lambda pair: -pair[1])
    (_, most), *others = ranked
    votes = sum(count for _, count in ranked)
    return "\n".join([
        f"{_text(verdict.answer)} won with {_many(most, 'vote')} of {votes:,}, {verdict.margin:,} ahead of the next.",
        f"Against it: {_listed(others)}." if others else "Nothing stood against it: all votes agree.",
        f"{_many(verdict.samples, 'draw')} in {_many(verdict.waves, 'wave')}; {_flagged(verdict)}.",
        _sure(verdict.margin) if not verdict.weights else _weighed(verdict.weights),
        _took(verdict),
    ])  # fmt: skip


def short(verdict: Verdict[Any]) -> str:
    """Return a verdict on one line."""
    flagged = f", {verdict.flagged:,} flagged" if verdict.flagged else ""
    counts = "-".join(str(n) for n in sorted(verdict.votes.values(), reverse=True)[:4])
    return f"<Verdict {_text(verdict.answer)}: votes {counts}, {_many(verdict.samples, 'sample')}{flagged}>"


def in_html(verdict: Verdict[Any]) -> str:
    """Return a verdict as a table: the answers by their votes, then what was flagged."""
    rows = [(answer, n) for answer, n in sorted(verdict.votes.items(), key=lambda pair: -pair[1])]
    rows += [(f"flagged: {kind}", n) for kind, n in sorted(verdict.flags.items())]
    return html_of(f"{_text(verdict.answer)}, {verdict.margin:,} ahead", rows, ("answer", "votes"))


def _text(answer: Any) -> str:
    return brief(repr(answer))


def _sure(margin: int) -> str:
    """Return what a margin says: the wrong answer wins one race in 1 + (p / (1 - p))^k, the gambler's ruin."""
    races = 1 + RIGHT**margin
    shown = f"{races:,}" if races < 10**12 else f"10^{len(str(races)) - 1}"
    return (
        f"If {RIGHT} of {RIGHT + 1} votes were right, and each erred on its own, a wrong answer would get so far ahead "
        f"in one race of {shown}; what most votes get wrong alike, no margin shows."
    )


def _weighed(weights: tuple[int, ...]) -> str:
    return (
        f"A draw counted {', '.join(map(str, weights))} votes by whose turn it was: how sure the margin makes hangs on "
        "what these weights stand on; what the models get wrong alike, no margin shows."
    )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _listed(others: Iterable[tuple[Any, int]]) -> str:
    first, *rest = [f"{_text(answer)} with {n:,}" for answer, n in others]
    shown = [first, *rest[:2]]
    return ", ".join(shown) + (f", and {len(rest) - 2:,} more" if len(rest) > 2 else "")


def _flagged(verdict: Verdict[Any]) -> str:
    if not verdict.flagged:
        return "none was flagged, so each had a vote"
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in sorted(verdict.flags.items(), key=lambda flag: -flag[1]))
    return f"{verdict.flagged:,} flagged and without a vote ({kinds})"


def _took(verdict: Verdict[Any]) -> str:
    usage = verdict.usage
    if usage is None:
        return f"It is step {verdict.step:,} of a run; what that took is in the account of the run."
    cost = "" if verdict.cost is None else f", ${verdict.cost:,.4f}"
    assumed = f", and at most {usage.assumed:,} that nobody reported" if usage.assumed else ""
    return (
        f"It took {_many(usage.calls, 'call')}, {usage.tokens_in:,} tokens in, {usage.tokens_out:,} out{assumed}{cost}."
    )
