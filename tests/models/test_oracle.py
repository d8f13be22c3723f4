"""The simulated model: it errs as it is told, by address alone, in ways that no flag can catch or that flags must."""

import asyncio
import itertools
import json
import math
import random

import pytest

from maker.decision.address import SEED_BLOCK, Address, draw_seeds, seed_key
from maker.decision.flags import DEFAULT, judge
from maker.decision.sample import Model, Request
from maker.decision.step import Rules, Step
from maker.errors import TaskError
from maker.models.oracle import Oracle
from maker.task.canonical import canonical
from maker.task.load import load_task
from maker.task.prompt import render

HANOI = load_task("hanoi", disks=8)


def _requests(task, steps, draws, seed=0, max_tokens=1024):
    """Return the requests of some draws of some (step, state) pairs, as a poll would make them."""
    key, made = seed_key(seed), []
    for step, state in steps:
        prompt = render(task, state, step)
        seeds = [s for block in range((draws - 1) // SEED_BLOCK + 1) for s in draw_seeds(key, step, block)]
        made += [
            Request(Address("r", step, draw), prompt, seeds[draw], max_tokens=max_tokens, state=state)
            for draw in range(draws)
        ]
    return made


def _path(count, task=HANOI):
    return [(step, task.state_at(step)) for step in range(count)]


def _ask(model, requests):
    return asyncio.run(model.draw(requests))


def _bound(task=HANOI, **settings):
    model = Oracle(**settings)
    model.bind(task)
    return model


def _judged(requests, samples, task=HANOI):
    """Return for each sample "right", "wrong" or the kind of its flag, each judged by itself."""
    found = []
    for request, sample in zip(requests, samples, strict=True):
        step = Step(request.address.step, request.state, Rules.of(task), request.max_tokens)
        red = judge(sample, step, [], DEFAULT)
        truth = canonical(task.truth(request.state, request.address.step))
        found.append(red.kind if red else "right" if step.read(sample.text).key == truth else "wrong")
    return found


def _near(seen, n, share):
    """Say whether a count lies within four standard deviations of its binomial mean."""
    return abs(seen - n * share) <= 4 * math.sqrt(n * share * (1 - share)) + 1e-9


_SETTINGS = [
    {"p": 0.8},
    {"p": 0.7, "v": 0.6},
    {"p": 0.6, "rho": 0.3, "rivals": 2},
    {"p": 0.7, "v": 0.9, "confusion": 0.3},
    {"p": 0.8, "v": 0.9, "copies": 0.4},
    {"p": 0.8, "v": 0.7, "rho": 0.1, "copies": 0.2, "confusion": 0.1, "rivals": 2, "seed": 5},
]


# -- a function of the address alone -------------------------------------------------------------------


@pytest.mark.parametrize("settings", _SETTINGS, ids=str)
def test_the_reply_is_a_function_of_its_request_alone(settings):
    """Alone, in one batch, shuffled, and from another oracle of equal settings every request has the same reply."""
    requests = _requests(HANOI, _path(20), 6)
    model = _bound(**settings)
    whole = _ask(model, requests)
    order = list(range(len(requests)))
    random.Random(1).shuffle(order)
    shuffled = dict(zip(order, _ask(model, [requests[i] for i in order]), strict=True))
    other = _bound(**settings)
    assert [_ask(other, [request])[0] for request in requests] == whole
    assert [shuffled[i] for i in range(len(requests))] == whole
    assert len({sample.text for sample in whole}) > 20


@pytest.mark.parametrize("settings", _SETTINGS, ids=str)
def test_answers_at_once_are_those_of_a_draw(settings):
    """Told the first request of a step and the seeds of all, the oracle answers as it does request by request."""
    model = _bound(**settings)
    for place in _path(20):
        requests = _requests(HANOI, [place], 6)
        assert model.at_once(requests[0], [request.seed for request in requests]) == _ask(model, requests)


class _Memoryless:
    """A task whose prompt and state are the same at every step, though the right answer is not."""

    name = "memoryless"
    steps = 100

    def initial_state(self):
        return 0

    def prompt(self, state, step):
        return "next?"

    def parse(self, text):
        return int(text)

    def legal(self, state, action):
        return True

    def apply(self, state, action):
        return state

    def done(self, state):
        return False

    def answer(self, state):
        return state

    def truth(self, state, step):
        return 1000 * step


@pytest.mark.parametrize("settings", [{"p": 1.0}, {"p": 0.5, "rho": 0.5}], ids=str)
def test_steps_that_look_alike_are_still_told_apart(settings):
    """In one batch, steps with equal prompt and state each get their own truth and their own difficulty."""
    task = _Memoryless()
    requests = _requests(task, [(step, 0) for step in range(40)], 4)
    model = _bound(task, **settings)
    assert _ask(model, requests) == [_ask(model, [request])[0] for request in requests]


def test_another_seed_of_the_run_draws_other_replies():
    """With other draw seeds the errors fall elsewhere; with another oracle seed the difficulties do."""
    plain = _ask(_bound(p=0.5), _requests(HANOI, _path(30), 4))
    assert _ask(_bound(p=0.5), _requests(HANOI, _path(30), 4, seed=1)) != plain
    hard = [_bound(p=0.7, rho=0.5, seed=seed) for seed in (0, 1)]
    assert len({tuple(s.text for s in _ask(model, _requests(HANOI, _path(30), 4))) for model in hard}) == 2


# -- the planted rates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "v"), [(0.99, 1.0), (0.8, 0.9), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0), (0.9, 0.0)])
def test_p_and_v_are_realised(p, v):
    """Shares of valid samples, and of right ones among the valid, lie within four standard deviations."""
    requests = _requests(HANOI, _path(200), 16)
    found = _judged(requests, _ask(_bound(p=p, v=v), requests))
    valid = found.count("right") + found.count("wrong")
    assert _near(valid, len(found), v)
    assert _near(found.count("right"), valid, p)


def test_invalid_text_comes_in_several_kinds():
    """Without valid text there are malformed, cut-off and rambling replies, all flagged, about a third each."""
    requests = _requests(HANOI, _path(100), 16)
    samples = _ask(_bound(v=0.0), requests)
    found = _judged(requests, samples)
    rambling = sum(len(sample.text) > 3000 for sample in samples)
    assert set(found) == {"malformed", "truncated"}
    assert _near(found.count("malformed"), len(found), 1 / 3)
    assert _near(rambling, len(found), 1 / 3)


@pytest.mark.parametrize(("p", "rho"), [(0.8, 0.2), (0.9, 0.05), (0.6, 0.5)])
def test_rho_is_the_intra_class_correlation_of_errors(p, rho):
    """Over many steps the own p has mean p and variance rho p (1 - p), within 4 standard errors."""
    model = _bound(p=p, rho=rho)
    request = Request(Address("r", 0, 0), "", 0)
    own = []
    for step in range(6000):
        request.address.step = step
        own.append(model._own_p(request))
    n, wanted = len(own), rho * p * (1 - p)
    mean = sum(own) / n
    squares = [(x - p) ** 2 for x in own]
    variance = sum(squares) / n
    spread = math.sqrt(sum((q - variance) ** 2 for q in squares) / n / n)
    assert abs(mean - p) < 4 * math.sqrt(wanted / n)
    assert abs(variance - wanted) < 4 * spread


def test_rho_makes_errors_of_a_step_come_together():
    """Pairs of draws of one step are both wrong 1 + rho p / (1 - p) times as often as chance would have it."""
    p, rho, pairs = 0.8, 0.3, 3000
    task = load_task("hanoi", disks=12)
    requests = _requests(task, _path(pairs, task), 2)
    found = _judged(requests, _ask(_bound(task, p=p, rho=rho), requests), task)
    both = sum(found[i] == found[i + 1] == "wrong" for i in range(0, len(found), 2))
    assert _near(both, pairs, (1 - p) ** 2 * (1 + rho * p / (1 - p)))
    assert not _near(both, pairs, (1 - p) ** 2)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_certain_steps_stay_certain_whatever_rho(p):
    """At p = 0 or 1 no difficulty is drawn: all steps are alike."""
    requests = _requests(HANOI, _path(20), 3)
    assert set(_judged(requests, _ask(_bound(p=p, rho=0.5), requests))) == {"right" if p else "wrong"}


# -- wrong answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rivals", [1, 2])
def test_each_step_has_its_fixed_wrong_answers(rivals):
    """All errors of a step are the same rival, or as many as were asked for, and steps differ in which it is."""
    requests = _requests(HANOI, _path(60)[1:], 16)
    samples = _ask(_bound(p=0.0, rivals=rivals), requests)
    places = set()
    for step, group in itertools.groupby(zip(requests, samples, strict=True), lambda pair: pair[0].address.step):
        pairs = list(group)
        wrong = [HANOI.render(answer) for answer in HANOI.rivals(pairs[0][0].state, step)]
        texts = {sample.text for _, sample in pairs}
        assert texts <= set(wrong)
        assert len(texts) == min(rivals, len(wrong))
        places |= {wrong.index(text) for text in texts}
    assert len(places) > 1


@pytest.mark.parametrize("rivals", [1, 2])
def test_wrong_answers_pass_every_default_flag(rivals):
    """No error at v = 1 is flagged: only voting helps against it."""
    requests = _requests(HANOI, _path(255), 4)
    assert set(_judged(requests, _ask(_bound(p=0.0, rivals=rivals), requests))) == {"wrong"}


@pytest.mark.parametrize("max_tokens", [1024, 2000, 760])
def test_confusion_is_over_long_and_wrong(max_tokens):
    """The planted share of samples holds the rival's answer in a rambling reply, which `over_long` catches."""
    requests = _requests(HANOI, _path(200), 8, max_tokens=max_tokens)
    samples = _ask(_bound(p=0.9, confusion=0.25), requests)
    found = _judged(requests, samples)
    assert _near(found.count("over_long"), len(found), 0.25)
    assert _near(found.count("right"), len(found), 0.75 * 0.9)
    for request, sample, kind in zip(requests, samples, found, strict=True):
        if kind == "over_long":
            answer = HANOI.parse(sample.text)
            assert answer in HANOI.rivals(request.state, request.address.step)
            assert sample.finish_reason == "stop"


def test_confusion_lowers_p_only_where_flags_are_off():
    """Unfiltered, right answers are 0.75 p of all that votes; filtered by the flags, p."""
    requests = _requests(HANOI, _path(200), 8)
    samples = _ask(_bound(p=0.9, confusion=0.25), requests)
    unfiltered = []
    for request, sample in zip(requests, samples, strict=True):
        step = Step(request.address.step, request.state, Rules.of(HANOI))
        assert judge(sample, step, [], ()) is None
        unfiltered.append(step.read(sample.text).answer == HANOI.truth(request.state, request.address.step))
    found = _judged(requests, samples)
    assert _near(sum(unfiltered), len(unfiltered), 0.75 * 0.9)
    assert _near(found.count("right"), found.count("right") + found.count("wrong"), 0.9)


# -- copies --------------------------------------------------------------------------------------------


def test_copies_share_id_and_text():
    """The planted share of replies repeats one reply of its step, id included; all other ids are unique."""
    requests = _requests(HANOI, _path(100), 16)
    samples = _ask(_bound(p=0.7, copies=0.3), requests)
    copies = 0
    for start in range(0, len(samples), 16):
        group = samples[start : start + 16]
        ids = [sample.response_id for sample in group]
        assert None not in ids
        shared = [sample for sample in group if ids.count(sample.response_id) > 1]
        assert len({(sample.response_id, sample.text) for sample in shared}) <= 1
        copies += sum(sample.response_id.startswith("s") for sample in group)
    assert _near(copies, len(samples), 0.3)
    stored = {sample.response_id for sample in samples if sample.response_id.startswith("s")}
    assert len(stored) == len({sample.response_id[1:] for sample in samples if sample.response_id[0] == "s"}) > 90


def test_without_copies_there_are_no_ids():
    """An oracle that plants no copies reports no response ids, so equal objects may be shared."""
    assert {s.response_id for s in _ask(_bound(p=0.5), _requests(HANOI, _path(5), 4))} == {None}


# -- any task --------------------------------------------------------------------------------------------


class _Question(_Memoryless):
    """A task without render and rivals, whose truths and parser are given."""

    name = "question"

    def __init__(self, truths, parse):
        self.truths, self.parse, self.steps = truths, parse, len(truths)

    def prompt(self, state, step):
        return f"question {step}"

    def truth(self, state, step):
        return self.truths[step]


_ANSWERS = {
    "int": ([0, 7, -3, 10**30], int),
    "int as JSON": ([0, 7, -3], json.loads),
    "float": ([0.5, 1e300, -1e17, 3.0], float),
    "bool": ([True, False], json.loads),
    "str": (["yes", "x", "?", "", "two words"], str),
    "str as JSON": (["yes", "?", "", "é"], json.loads),
    "list": ([[1, 2], [0], [3, [4, True]]], json.loads),
    "list, first without text": ([[1], ["a"], ["a", "b"]], json.loads),
    "several kinds": ([5, True, "a", [False]], json.loads),
    "tuple": ([(1, 2), (3, 4)], lambda text: tuple(json.loads(text))),
}


@pytest.mark.parametrize(("truths", "parse"), _ANSWERS.values(), ids=_ANSWERS.keys())
def test_a_task_without_render_and_rivals_can_be_simulated(truths, parse):
    """Numbers, text and JSON lists: the right reply parses to the truth at every step, the wrong one never does."""
    task = _Question(truths, parse)
    requests = _requests(task, [(step, 0) for step in range(len(truths))], 8)
    assert set(_judged_plainly(task, requests, _ask(_bound(task, p=1.0), requests))) == {True}
    for rivals in (1, 4):
        assert set(_judged_plainly(task, requests, _ask(_bound(task, p=0.0, rivals=rivals), requests))) == {False}


def _judged_plainly(task, requests, samples):
    """Say of each reply whether it parses to the truth of its step; a reply that does not parse fails the test."""
    truths = [canonical(task.truth(0, request.address.step)) for request in requests]
    return [canonical(task.parse(sample.text)) == truth for sample, truth in zip(samples, truths, strict=True)]


def test_an_answer_that_cannot_be_written_asks_for_render():
    """Where neither str nor JSON parses back to the truth, binding fails and says what to add."""
    with pytest.raises(TaskError, match="render"):
        _bound(_Question([[1]], lambda text: text.split("|")))


def test_no_rivals_can_be_made_up_for_everything():
    """A truth of which no wrong answer can be made asks for rivals(state, step) when an error is due."""
    task = _Question([None], json.loads)
    requests = _requests(task, [(0, 0)], 1)
    assert _ask(_bound(task, p=1.0), requests)[0].text == "null"
    with pytest.raises(TaskError, match="rivals"):
        _ask(_bound(task, p=0.0), requests)


@pytest.mark.parametrize("method", ["truth", "rivals", "render"])
def test_a_task_that_raises_in_a_simulation_is_named(method):
    """What truth, rivals or render raise is a TaskError that names the method, when bound or when drawn."""

    class Broken(type(HANOI)):
        pass

    def broken(*args):
        raise LookupError("gone")

    setattr(Broken, method, broken)
    task = Broken(3)
    with pytest.raises(TaskError, match=f"{method} raised LookupError: gone"):
        _ask(_bound(task, p=0.0), _requests(task, [(0, task.initial_state())], 1))


def test_a_truth_that_raises_for_a_task_without_render_is_named():
    """Binding asks for the first truth; what it raises is a TaskError naming the method."""
    with pytest.raises(TaskError, match="truth raised IndexError"):
        _bound(_Question([], int))


def test_a_task_without_rivals_at_a_step_is_refused():
    """An empty list of rivals where an error is due is a TaskError, not a division by zero."""

    class Sure(type(HANOI)):
        def rivals(self, state, step):
            return []

    task = Sure(3)
    with pytest.raises(TaskError, match="rivals"):
        _ask(_bound(task, p=0.0), _requests(task, [(0, task.initial_state())], 1))


def test_an_unbound_oracle_says_so():
    """Drawing before bind is a TaskError that names bind."""
    with pytest.raises(TaskError, match="bind"):
        _ask(Oracle(), _requests(HANOI, _path(1), 1))


def test_a_task_without_truth_cannot_be_simulated():
    """Binding a task that has no truth is a TaskError that names the task."""

    class Truthless:
        name = "truthless"

    with pytest.raises(TaskError, match="truthless has no truth"):
        Oracle().bind(Truthless())


# -- parameters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        *[{name: bad} for name in ("p", "v", "rho", "confusion", "copies") for bad in (-0.01, 1.01, math.nan)],
        {"rho": 0.995}, {"rivals": 0}, {"rivals": -1}, {"latency": -1.0}, {"latency": math.nan}, {"latency": math.inf},
        {"confusion": 0.5, "v": 0.4},
    ],
    ids=str,
)  # fmt: skip
def test_parameters_out_of_range_are_refused(settings):
    """A share outside [0, 1], an impossible mixture, and a latency that is no duration are a TaskError."""
    with pytest.raises(TaskError, match=next(iter(settings))):
        Oracle(**settings)


@pytest.mark.parametrize("settings", [{"p": 0}, {"p": 1, "v": 0}, {"rho": 0.99}, {"confusion": 0.4, "v": 0.4}])
def test_the_edges_of_the_ranges_are_allowed(settings):
    """The ends of every range are inside."""
    assert Oracle(**settings).simulated


def test_an_oracle_says_what_it_is():
    """It is simulated, its name holds every setting that can change a reply, and latency makes it concurrent."""
    model = Oracle(p=0.9, v=0.8, rho=0.1, rivals=2, confusion=0.05, copies=0.2, seed=3)
    assert isinstance(model, Model)
    assert model.simulated
    assert model.lockstep
    assert model.name == "oracle:p=0.9,v=0.8,rho=0.1,confusion=0.05,copies=0.2,rivals=2,seed=3"
    late = Oracle(p=0.9, latency=0.001)
    assert not late.lockstep
    assert late.name == Oracle(p=0.9).name


def test_latency_does_not_change_the_reply():
    """A slow oracle writes what the quick one writes."""
    requests = _requests(HANOI, _path(3), 4)
    assert _ask(_bound(p=0.5, latency=1e-6), requests) == _ask(_bound(p=0.5), requests)


def test_tokens_are_reported():
    """Every reply reports tokens in and out, so that limits on tokens can be tried without a server."""
    for sample in _ask(_bound(p=0.7, v=0.7, confusion=0.1), _requests(HANOI, _path(20), 8)):
        assert sample.tokens_in > 0
        assert 0 < sample.tokens_out <= 1024


def test_a_share_of_the_steps_is_hard_and_the_others_are_as_without_it():
    """Of 4,000 steps a tenth errs as told, at whatever draw, and each other one replies as the model without them."""
    task = load_task("hanoi", disks=12)
    requests = _requests(task, _path(4_000, task), 2)
    plain = _ask(_bound(task, p=1.0), requests)
    spoilt = _ask(_bound(task, p=1.0, hard=0.1, p_hard=0.0), requests)
    other = [one.text != two.text for one, two in zip(plain, spoilt, strict=True)]
    assert other[0::2] == other[1::2] and 320 < sum(other[0::2]) < 480
    assert Oracle(hard=0.1).name.endswith("seed=0,hard=0.1,p_hard=0.4") and Oracle().name.endswith("seed=0")
    with pytest.raises(TaskError, match="p_hard = 2"):
        Oracle(p_hard=2)
