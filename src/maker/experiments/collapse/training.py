"""How a policy is trained: first on right answers, then by policy gradient in groups of eight; six ways of the latter.

Every update draws eight answers to each of 32 questions; the advantage of an answer is its reward less the
mean of its group, over the group's spread (GRPO). Four steps are then taken on the same answers, so that the policy
has moved from the one that drew them, and clipping can bite. The ways differ in the loss alone (`METHODS`).

Not covered: what is made of a trained policy (`votes.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maker.experiments.collapse.coins import ANSWERS, TOKENS, Ints, Questions
from maker.experiments.collapse.policy import LAST, NO_HISTORY, Floats, Policy, number_of, rows_of, seen

GROUP = 8
QUESTIONS = 32  # of an update
INNER = 4  # steps on the same answers
CLIP = 0.2
TEACHING, RATE = 3e-3, 1e-3  # of learning, in the two phases
_COV = (1.0, 5.0)  # covariances among which Clip-Cov chooses
_TOP = 0.02  # of the tokens: those that KL-Cov holds back


@dataclass(slots=True, frozen=True)
class Method:
    """A way to train by policy gradient.

    constant: of an entropy bonus, the nats' worth; of Clip-Cov, the share of tokens left out; of KL-Cov, the weight of
    the penalty; of GPPO, the share of its gradient that a clipped token keeps. high: above it a ratio is clipped.
    """

    name: str
    constant: float = 0.0
    high: float = CLIP


METHODS = (
    Method("plain"),
    Method("entropy bonus", 0.03),
    Method("Clip-higher", 0.0, 0.5),
    Method("Clip-Cov", 0.05),
    Method("KL-Cov", 10.0),
    Method("GPPO", 0.1),
)


@dataclass(slots=True)
class Drawn:
    """What an update works on, a row for each token: what was seen and said, log P of it then, and its advantage."""

    x: Floats
    said: Ints
    old: Floats
    advantage: Floats
    reward: float
    entropy: float


def taught(rng: np.random.Generator, learned: Questions, lessons: int, *, writers: bool = False) -> Policy:
    """Return a policy that was shown right answers, any of them alike, 256 in each of so many lessons.

    writers: it is shown what writers answer who err, each as often as it does, any rate from 0 to 1/2 alike; of half
    of them it is told how many of the last eight answers were wrong.
    """
    policy = Policy(rng)
    right = learned.right
    for _ in range(lessons):
        which = rng.integers(0, len(learned), 256)
        said = ANSWERS[(right[which] * rng.random((256, len(ANSWERS)))).argmax(1)]
        wrong = np.full(256, NO_HISTORY)
        if writers:
            said, wrong = _written(said, rng)
        x = seen(*rows_of(learned[which], said, wrong))
        *layers, log = policy.forward(x)
        slope = np.exp(log)
        slope[np.arange(len(slope)), said.ravel()] -= 1
        policy.step(x, (layers[0], layers[1]), slope / len(slope), TEACHING)
    policy.rested()
    return policy


def _written(right: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return what writers answer, and what is told of their histories."""
    rate = rng.uniform(0, 0.5, len(right))
    any_ = ANSWERS[rng.integers(0, len(ANSWERS), len(right))]
    said = np.where(rng.random(len(right))[:, None] < rate[:, None], any_, right)
    told = rng.random(len(right)) < 0.5
    return said, np.where(told, rng.binomial(LAST, rate), NO_HISTORY)


def draw(policy: Policy, learned: Questions, rng: np.random.Generator) -> Drawn:
    """Draw eight answers to each of 32 questions, and reward them."""
    which = np.repeat(rng.integers(0, len(learned), QUESTIONS), GROUP)
    asked = learned[which]
    wrong = np.full(len(which), NO_HISTORY)
    said = policy.say(asked, wrong, rng)
    reward = asked.right[np.arange(len(which)), number_of(said)].reshape(-1, GROUP).astype(np.float32)
    advantage = (reward - reward.mean(1, keepdims=True)) / (reward.std(1, keepdims=True) + 1e-4)
    x = seen(*rows_of(asked, said, wrong))
    *_, log = policy.forward(x)
    return Drawn(
        x, said.ravel(), log[np.arange(len(x)), said.ravel()], np.repeat(advantage.ravel(), TOKENS),
        float(reward.mean()), float(-(np.exp(log) * log).sum(1).mean()),
    )  # fmt: skip


def update(policy: Policy, method: Method, drawn: Drawn, rng: np.random.Generator) -> None:
    """Take four steps on the same answers."""
    rows = np.arange(len(drawn.x))
    for _ in range(INNER):
        *layers, log = policy.forward(drawn.x)
        now = log[rows, drawn.said]
        push = _push(method, drawn, now, rng)
        chance = np.exp(log)
        slope = push[:, None] * chance  # of -push log P(said)
        slope[rows, drawn.said] -= push
        if method.name == "entropy bonus":
            entropy = -(chance * log).sum(1, keepdims=True)
            slope += method.constant * chance * (log + entropy)
        policy.step(drawn.x, (layers[0], layers[1]), slope / len(rows), RATE)


def _push(method: Method, drawn: Drawn, now: Floats, rng: np.random.Generator) -> Floats:
    """Return by how much each token's log P is pushed up: the negative slope of the loss by it."""
    a, moved = drawn.advantage, now - drawn.old
    ratio = np.exp(moved)
    push: Floats = a * ratio
    if method.name == "KL-Cov":  # nothing is clipped: the tokens of most covariance are held to where they were
        top = np.argsort(-_covariance(a, now))[: round(_TOP * len(a))]
        push[top] -= method.constant * np.sign(moved[top])
        return push
    over, under = (a > 0) & (ratio > 1 + method.high), (a < 0) & (ratio < 1 - CLIP)
    # what is clipped pushes no more, but in GPPO with a share of what it did at the bound
    kept = method.constant * a if method.name == "GPPO" else 0.0
    push = np.where(over, kept * (1 + method.high), np.where(under, kept * (1 - CLIP), push)).astype(np.float32)
    if method.name == "Clip-Cov":
        covariance = _covariance(a, now)
        able = np.flatnonzero((covariance > _COV[0]) & (covariance < _COV[1]))
        push[rng.permutation(able)[: round(method.constant * len(a))]] = 0.0
    return push


def _covariance(a: Floats, log: Floats) -> Floats:
    """Return each token's part in the covariance of advantage and log P."""
    parts: Floats = (a - a.mean()) * (log - log.mean())
    return parts
