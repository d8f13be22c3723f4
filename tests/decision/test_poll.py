"""One step being voted on: requests, judging in draw order, and the same count live as from the journal."""

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.decision.address import SEED_BLOCK, Address, draw_seeds, seed_key
from maker.decision.flags import DEFAULT, PAPER, RedFlag, chain
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.sample import Sample
from maker.decision.step import Rules, Step
from maker.decision.wave import FLAGGED, Wave
from maker.errors import InternalError, JournalError
from maker.journal.records import decode, encode_wave
from maker.task.canonical import canonical
from maker.task.load import load_task

exactly = settings(derandomize=True, max_examples=100, deadline=None)
HANOI = load_task("hanoi", disks=3)
GOOD = "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]"
GOOD_TOO = "move=[1,0,2]\nnext_state=[[3,2],[],[1]]"  # another text of the same answer
RIVAL = "move = [1, 0, 1]\nnext_state = [[3, 2], [1], []]"
ILLEGAL = "move = [2, 0, 1]\nnext_state = [[3, 1], [2], []]"


def _method(**changes):
    plain = {
        "run": "r", "key": seed_key(0), "k": 3, "max_votes": 100, "max_flags": 100, "flags": DEFAULT,
        "temperature": 0.1, "first_temperature": None, "token_cap": 1024, "long_answer": 750, "keep": "all",
    }  # fmt: skip
    return Method(**(plain | changes))


def _poll(task=HANOI, step=0, **changes):
    return Poll.of(_method(**changes), Rules.of(task), step, task.initial_state(), "the prompt")


def _run(poll, samples):
    """Feed samples until the poll ends or they do; return its waves."""
    stream, waves = iter(samples), []
    while poll.outcome is None:
        wave = list(itertools.islice(stream, poll.need))
        if len(wave) < poll.need:
            break
        waves.append(poll.take(wave))
    return waves


def _standing(poll):
    """Return all that a poll knows which a resumed run goes on from."""
    verdict = poll.verdict() if poll.outcome and poll.outcome.winner is not None else None
    return {
        "need": poll.need, "outcome": poll.outcome, "drawn": poll.drawn, "waves": poll.waves, "flags": poll.flags,
        "counts": poll.tally.counts, "flagged": poll.tally.flagged, "margin": poll.tally.margin,
        "leader": poll.tally.leader, "keys": [reading.key for reading in poll.readings], "verdict": verdict,
        "winner": poll.winner if verdict else None,
    }  # fmt: skip


def _replayed(waves, **changes):
    poll = _poll(**changes)
    for wave in waves:
        poll.replay(decode(encode_wave(wave)))
    return poll


_samples = st.lists(
    st.builds(
        Sample,
        st.sampled_from([GOOD, GOOD, GOOD_TOO, RIVAL, ILLEGAL, "nonsense", "", None, "I'm sorry, no.", GOOD + RIVAL]),
        tokens_in=st.sampled_from([None, 300]),
        tokens_out=st.sampled_from([None, 30, 800, 1024]),
        finish_reason=st.sampled_from(["stop", "stop", "length", None]),
        response_id=st.sampled_from([None, None, "a", "b", "c"]),
        logprob=st.sampled_from([None, -0.5, -30.0]),
        model=st.sampled_from([None, "m-1"]),
    ),
    max_size=30,
)


# -- the requests --------------------------------------------------------------------------------------


def test_a_request_carries_what_the_method_and_the_step_say():
    """The first wave asks k draws: addresses in order, one prompt, temperature, cap, schema and the state itself."""
    poll = _poll(step=12, schema={"type": "object"}, temperature=0.7, token_cap=55)
    requests = poll.requests()
    assert [r.address for r in requests] == [Address("r", 12, draw) for draw in range(3)]
    for request in requests:
        assert (request.prompt, request.temperature, request.max_tokens) == ("the prompt", 0.7, 55)
        assert request.schema == {"type": "object"}
        assert request.state is poll.step.state
        assert not hasattr(request, "truth")


def test_asking_twice_asks_the_same():
    """Requests are a function of the poll's standing: a retry of a wave keeps draws and seeds."""
    poll = _poll()
    assert poll.requests() == poll.requests()


def _all_seeds(poll, texts):
    """Return the seed of every draw of a whole poll, asking before each wave."""
    seeds, stream = {}, iter(texts)
    while poll.outcome is None:
        requests = poll.requests()
        seeds.update({request.address.draw: request.seed for request in requests})
        poll.take([Sample(next(stream)) for _ in requests])
    return seeds


def test_seeds_depend_on_the_address_alone():
    """Draw d of a step has the seed of its address, whatever the waves, the flags or the margin before it."""
    expected = [seed for block in range(5) for seed in draw_seeds(seed_key(0), 4, block)]
    close = [GOOD, RIVAL] * 14 + [GOOD] * 9
    flagged = ["nonsense", GOOD, RIVAL] * 7 + [GOOD] * 9
    for k, texts in [(1, ["x"] * 20 + [GOOD]), (2, close), (3, close), (5, flagged), (9, close), (20, [GOOD] * 20)]:
        seeds = _all_seeds(_poll(step=4, k=k), texts)
        assert list(seeds) == list(range(len(seeds)))
        assert list(seeds.values()) == expected[: len(seeds)]


def test_waves_that_straddle_seed_blocks_have_the_right_seeds():
    """A wave that begins and ends inside blocks of eight seeds gets exactly the seeds of its draws."""
    everything = [seed for block in range(6) for seed in draw_seeds(seed_key(0), 0, block)]
    for first in range(2 * SEED_BLOCK + 1):
        for k in (1, SEED_BLOCK - 1, SEED_BLOCK, SEED_BLOCK + 1, 2 * SEED_BLOCK + 3):
            poll = _poll(k=k, max_votes=1000)
            poll.drawn = first
            assert [request.seed for request in poll.requests()] == everything[first : first + k]


def test_seeds_differ_by_draw_step_and_run_seed():
    """No two draws of several steps and run seeds ask with the same seed."""
    polls = [_poll(step=step, key=seed_key(seed), k=9) for step in range(10) for seed in range(4)]
    seeds = [request.seed for poll in polls for request in poll.requests()]
    assert len(set(seeds)) == len(seeds) == 360


def test_the_first_temperature_is_that_of_draw_0_alone():
    """With a first temperature draw 0 has it and every other draw, of any wave, has the common one."""
    poll = _poll(first_temperature=0.0, temperature=0.1)
    assert [request.temperature for request in poll.requests()] == [0.0, 0.1, 0.1]
    poll.take([Sample(GOOD), Sample(RIVAL), Sample(GOOD)])
    assert [request.temperature for request in poll.requests()] == [0.1, 0.1]
    assert [request.temperature for request in _poll(temperature=0.1).requests()] == [0.1] * 3


def test_a_poll_without_a_prompt_cannot_ask():
    """A poll made for replay needs no prompt, and says so when it is asked for requests."""
    with pytest.raises(AssertionError, match="prompt"):
        Poll(Step(0, HANOI.initial_state(), Rules.of(HANOI)), _method()).requests()


# -- taking --------------------------------------------------------------------------------------------


def test_a_clean_step_is_decided_in_one_wave():
    """Three equal votes at k = 3 decide: one wave, one candidate, one text, and the verdict says all of it."""
    poll = _poll()
    (wave,) = _run(poll, [Sample(GOOD, 300, 20)] * 3)
    verdict = poll.verdict()
    assert wave == Wave(0, 0, [0, 0, 300, 20] * 3, [(True, GOOD.encode())], {}, None)
    assert (verdict.step, verdict.answer.move, verdict.samples, verdict.flagged) == (0, (1, 0, 2), 3, 0)
    assert (verdict.margin, verdict.entropy, verdict.waves, dict(verdict.flags)) == (3, 0.0, 1, {})
    assert verdict.votes == {((1, 0, 2), ((3, 2), (), (1,))): 3}
    assert (poll.need, poll.winner) == (0, 0)


def test_a_contested_step_counts_everything():
    """Rivals, flags by kind, several texts of one answer: the verdict and the waves hold each of them."""
    poll = _poll()
    texts = [GOOD, RIVAL, "nonsense", GOOD_TOO, None, ILLEGAL, GOOD, GOOD_TOO]
    waves = _run(poll, map(Sample, texts))
    verdict = poll.verdict()
    assert (verdict.samples, verdict.flagged, verdict.flags) == (8, 3, {"malformed": 1, "empty": 1, "illegal": 1})
    assert sorted(verdict.votes.values()) == [1, 4]
    assert [entry for wave in waves for entry in wave.draws[0::4]] == [0, 1, FLAGGED, 0, FLAGGED, FLAGGED, 0, 0]
    assert [number for wave in waves for number in wave.draws[1::4]] == [0, 1, 2, 3, 4, 5, 0, 3]
    assert [wave.first for wave in waves] == [0, 3, 6]
    assert sum(len(wave) for wave in waves) == poll.drawn == verdict.samples


def test_limits_below_k_end_a_poll_at_once():
    """A step that may not take k votes is undecided from the start, by name, and asks nothing."""
    poll = _poll(k=3, max_votes=2)
    assert (poll.outcome.winner, poll.outcome.limit, poll.need) == (None, "max_votes", 0)


@pytest.mark.parametrize(
    ("texts", "limit"),
    [([GOOD, RIVAL] * 20, "max_votes"), (["x"] * 40, "max_flags"), ([GOOD, "x"] * 2 + ["x"] * 40, "max_flags")],
)
def test_a_limit_leaves_a_poll_without_a_winner(texts, limit):
    """At a limit a poll has an outcome that names it, no winner and no verdict: never a plurality."""
    poll = _poll(k=4, max_votes=10, max_flags=10)
    _run(poll, map(Sample, texts))
    assert (poll.outcome.winner, poll.outcome.limit) == (None, limit)
    with pytest.raises(InternalError, match="no winner"):
        poll.verdict()


def test_draw_order_decides_not_arrival():
    """Candidates are numbered in draw order, and of two draws with one id the later is the copy."""
    poll = _poll()
    (wave,) = _run(poll, [Sample(RIVAL, response_id="a"), Sample(GOOD, response_id="a"), Sample(GOOD, response_id="b")])
    assert wave.draws[0::4] == [0, FLAGGED, 1]
    assert wave.extras[1]["flag"] == "copied"


@pytest.mark.parametrize("which", [None, "paper", []], ids=str)
def test_one_object_repeated_is_judged_as_separate_draws(which):
    """A model may return the same object for equal replies: the count is that of equal but separate objects."""
    one = Sample(GOOD, 10, 20)
    same, apart = _poll(flags=chain(which)), _poll(flags=chain(which))
    waves = _run(same, [one] * 3)
    assert waves == _run(apart, [dataclasses.replace(one) for _ in range(3)])
    assert _standing(same) == _standing(apart)
    assert len(same.samples) == 3


def test_an_object_with_an_id_repeated_is_a_copy():
    """The same object with a response id is one vote; its further draws are flagged as copied."""
    one = Sample(GOOD, response_id="a")
    poll = _poll()
    wave = poll.take([one] * 3)
    assert wave.draws[0::4] == [0, FLAGGED, FLAGGED]
    assert (poll.flags, poll.tally.total, poll.need) == ({"copied": 2}, 1, 2)
    assert [wave.extras[i].get("flag") for i in range(3)] == [None, "copied", "copied"]


def test_an_improbable_object_repeated_is_a_copy():
    """An object with a very improbable text is a copy when it comes again; not a probable one, nor in colder draws."""
    for logprob, temperature, votes in ((-30.0, 1.0, 1), (-3.0, 1.0, 3), (-30.0, 0.9, 3)):
        poll = _poll(temperature=temperature)
        poll.take([Sample(GOOD, logprob=logprob)] * 3)
        assert poll.tally.total == votes


def test_an_own_flag_sees_every_draw_of_one_object():
    """A custom flag is asked about each draw of a repeated object, with all earlier samples each time."""
    seen = []

    def third(sample, step, earlier):
        seen.append(len(earlier))
        return RedFlag("third") if len(earlier) == 2 else None

    poll = _poll(flags=(*DEFAULT, third))
    wave = poll.take([Sample(GOOD)] * 3)
    assert set(seen) == {0, 1, 2}
    assert wave.draws[0::4] == [0, 0, FLAGGED]
    assert poll.flags == {"third": 1}


@exactly
@given(_samples)
def test_repeated_objects_count_as_equal_ones(samples):
    """For any replies, sharing one object among equal ones changes nothing: not the waves, not the standing."""
    shared: dict = {}
    reused = [shared.setdefault(repr(sample), sample) for sample in samples]
    one, other = _poll(), _poll()
    assert _run(one, reused) == _run(other, samples)
    assert _standing(one) == _standing(other)


def test_texts_are_parsed_once_a_step():
    """Ten waves over three texts call the parser three times."""
    calls = []

    def parse(text):
        calls.append(text)
        return HANOI.parse(text)

    step = Step(0, HANOI.initial_state(), dataclasses.replace(Rules.of(HANOI), parse=parse))
    poll = Poll(step, _method(k=6), "p")
    _run(poll, map(Sample, [GOOD, RIVAL, "x"] * 10 + [GOOD] * 10))
    assert poll.waves > 3
    assert sorted(calls) == sorted([GOOD, RIVAL, "x"])


# -- what is kept --------------------------------------------------------------------------------------

_MIXED = [GOOD, "nonsense", RIVAL, GOOD_TOO, GOOD, GOOD_TOO, "nonsense", GOOD]


@pytest.mark.parametrize(
    ("keep", "whole"),
    [
        ("all", {GOOD, GOOD_TOO, RIVAL, "nonsense"}),
        ("flagged", {GOOD, RIVAL, "nonsense"}),
        ("none", {GOOD, RIVAL}),
    ],
)
def test_keep_says_which_texts_are_stored_whole(keep, whole):
    """Each candidate's first text is always whole; beyond that `keep` decides; every other text is a digest."""
    waves = _run(_poll(keep=keep), map(Sample, _MIXED))
    texts = [text for wave in waves for text in wave.texts]
    assert {raw.decode() for full, raw in texts if full} == whole
    assert all(len(raw) == 16 for full, raw in texts if not full)
    assert len(texts) == 4


@pytest.mark.parametrize("keep", ["all", "flagged", "none"])
@exactly
@given(samples=_samples, which=st.sampled_from([DEFAULT, PAPER, ()]))
def test_the_winners_text_is_always_whole(keep, samples, which):
    """Whatever was flagged before, some whole text in the journal parses to the answer of every candidate."""
    poll = _poll(keep=keep, flags=which)
    waves = _run(poll, [*samples, *[Sample(GOOD)] * 40])
    whole = [raw.decode("utf-8", "surrogatepass") for wave in waves for full, raw in wave.texts if full]
    keys = {poll.step.read(text).key for text in whole}
    assert {reading.key for reading in poll.readings} <= keys


def test_a_text_first_flagged_then_voted_is_stored_whole_when_it_votes():
    """With keep none a winner whose text came first in a flagged reply is still in the journal in full."""
    poll = _poll(keep="none")
    samples = [Sample(GOOD, finish_reason="length"), *[Sample(GOOD)] * 3]
    waves = _run(poll, samples)
    assert [full for wave in waves for full, _ in wave.texts] == [False, True]
    assert _standing(_replayed(waves, keep="none")) == _standing(poll)


def test_a_flagged_reply_is_stored_whole_though_its_text_voted_before():
    """With keep flagged the text of a flagged reply is in full also where an earlier vote had the same text."""
    poll = _poll(keep="flagged", k=4)
    waves = _run(poll, [Sample(GOOD), Sample(GOOD_TOO), Sample(GOOD_TOO, finish_reason="length"), Sample(GOOD)])
    assert waves[0].draws[0::4] == [0, 0, FLAGGED, 0]
    assert GOOD_TOO.encode() in [raw for wave in waves for full, raw in wave.texts if full]


def test_facts_of_a_draw_are_kept_beside_it():
    """Flag, finish reason, id, logprob, model and latency of a draw are in its extras; a plain draw has none."""
    poll = _poll()
    full = Sample(GOOD, 1, 2, "length", "id-1", -1.5, "m-1", 0.25)
    (wave,) = _run(poll, [Sample(GOOD), full, Sample(GOOD, finish_reason=None)])
    facts = {"flag": "truncated", "finish": "length", "id": "id-1", "logprob": -1.5, "model": "m-1", "latency": 0.25}
    assert wave.extras == {1: facts, 2: {"finish": None}}


@pytest.mark.parametrize("tokens", [None, -1, 2**32 - 1, 2**40])
def test_token_counts_that_do_not_fit_are_unknown(tokens):
    """A server's absurd token count never breaks a record: it is kept as unknown."""
    poll = _poll(flags=())
    (wave,) = _run(poll, [Sample(GOOD, tokens, tokens)] * 3)
    assert decode(encode_wave(wave)).draws == [0, 0, 2**32 - 1, 2**32 - 1] * 3


# -- replay --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["all", "flagged", "none"])
@exactly
@given(samples=_samples, which=st.sampled_from([DEFAULT, PAPER, ()]), cut=st.integers(0, 12))
def test_replayed_waves_give_the_standing_of_live_ones(keep, samples, which, cut):
    """A poll read back from any prefix of its records stands where the live one stood, and goes on alike."""
    samples = [*samples, *[Sample(GOOD)] * 40]
    live = _poll(keep=keep, flags=which, k=4)
    waves = _run(live, samples)
    cut = min(cut, len(waves))
    half = _poll(keep=keep, flags=which, k=4)
    half_waves = [half.take(samples[wave.first : wave.first + len(wave)]) for wave in waves[:cut]]
    resumed = _replayed(half_waves, keep=keep, flags=which, k=4)
    assert _standing(resumed) == _standing(half)
    if half.outcome is None:
        assert resumed.requests() == half.requests()
    rest = _run(resumed, samples[resumed.drawn :])
    assert _standing(resumed) == _standing(live)
    assert _standing(_replayed([*half_waves, *rest], keep=keep, flags=which, k=4)) == _standing(live)


@exactly
@given(samples=_samples, alike=st.booleans())
def test_a_decided_step_is_recounted_as_an_open_one(samples, alike):
    """The wave that says that it decided leaves the same winner and the same counts; one of one mind does, too."""
    samples = [Sample(GOOD, 1, 2)] * 4 if alike else [*samples, *[Sample(GOOD)] * 40]
    waves = _run(_poll(k=4), samples)
    waves[-1].verdict = 0, bytes(16), bytes(16)
    decided, open_ = _replayed(waves, k=4), _replayed([*waves[:-1], dataclasses.replace(waves[-1], verdict=None)], k=4)
    assert (_standing(decided), decided.order) == (_standing(open_), open_.order)


@exactly
@given(samples=_samples)
def test_replayed_samples_are_what_flags_saw(samples):
    """What flags compare with after a resume is what they compared with before: every field of earlier samples."""
    live = _poll(k=4)
    waves = _run(live, [*samples, *[Sample(GOOD)] * 40])
    seen = [dataclasses.replace(sample, text=sample.text or "") for sample in live.samples]
    assert [dataclasses.replace(s, text=s.text or "") for s in _replayed(waves, k=4).samples] == seen


@pytest.mark.parametrize("keep", ["all", "flagged", "none"])
def test_a_copy_is_still_a_copy_after_a_resume(keep):
    """An improbable text that was stored as a digest only is recognised when it comes again after a resume."""
    first = [Sample(GOOD, logprob=-30.0), Sample(GOOD_TOO, logprob=-30.0), Sample(RIVAL, logprob=-30.0)]
    live = _poll(keep=keep, temperature=1.0)
    resumed = _replayed([live.take(first)], keep=keep, temperature=1.0)
    again = [Sample(GOOD_TOO, logprob=-30.0), Sample("x")]
    assert resumed.take(again).draws[0::4] == live.take(again).draws[0::4] == [FLAGGED, FLAGGED]


@pytest.mark.parametrize("first", [1, 3, 7])
def test_a_wave_out_of_order_is_refused(first):
    """A wave whose first draw does not follow the last one counted is a JournalError naming both."""
    poll = _poll()
    wave = _poll().take([Sample(GOOD), Sample(RIVAL), Sample(GOOD)])
    wave.first = first
    with pytest.raises(JournalError, match=f"draw {first} does not follow"):
        poll.replay(wave)


def test_a_wave_after_the_decision_is_refused():
    """A decided step takes no more waves, nor the same one twice."""
    wave = _poll().take([Sample(GOOD)] * 3)
    poll = _replayed([wave])
    with pytest.raises(JournalError, match="does not follow"):
        poll.replay(wave)
    late = dataclasses.replace(wave, first=3)
    with pytest.raises(JournalError, match="does not follow"):
        poll.replay(late)


@pytest.mark.parametrize(
    "wave",
    [
        Wave(0, 0, [0, 5, 0, 0] * 3, [(True, GOOD.encode())]),
        Wave(0, 0, [0, 0, 0, 0] * 3, []),
        Wave(0, 0, [FLAGGED, 0, 0, 0] * 3, [(True, b"x")]),
        Wave(0, 0, [-2, 0, 0, 0] * 3, [(True, GOOD.encode())]),
        Wave(0, 0, [3, 0, 0, 0] * 3, [(True, GOOD.encode())]),
        Wave(0, 0, [0, 0, 0, 0] * 3, [(True, b"\xff\xfe")]),
        Wave(0, 0, [0, 0, 0, 0] * 3, [(False, bytes(16))]),
        Wave(0, 0, [0, 0, 0, 0] * 3, [(True, b"not an answer")]),
        Wave(0, 0, [0, 0, 0, 0, 1, 1, 0, 0], [(True, GOOD.encode()), (True, GOOD_TOO.encode())]),
    ],
    ids=["text", "no text", "no flag", "candidate -2", "candidate 3", "bytes", "digest", "parser", "same answer"],
)
def test_a_wave_that_does_not_fit_the_step_is_refused(wave):
    """A record that could not have come from this step (a hand edit, other task code) is a JournalError."""
    for verdict in (None, (0, bytes(16), bytes(16))):
        with pytest.raises(JournalError):
            _poll().replay(decode(encode_wave(dataclasses.replace(wave, verdict=verdict))))


def test_replay_with_higher_limits_goes_on():
    """A step that a limit ended goes on from its waves under higher limits, with the next draw."""
    poll = _poll(max_votes=4)
    waves = _run(poll, map(Sample, [GOOD, RIVAL] * 5))
    assert poll.outcome.limit == "max_votes"
    resumed = _replayed(waves, max_votes=50)
    assert (resumed.outcome, resumed.drawn) == (None, poll.drawn)
    assert [request.address.draw for request in resumed.requests()] == [poll.drawn + i for i in range(resumed.need)]
    _run(resumed, [Sample(GOOD)] * 5)
    assert canonical(resumed.verdict().answer.move) == b"[1,0,2]"


# -- no ground truth -----------------------------------------------------------------------------------


class _Blind(type(HANOI)):
    def truth(self, state, step):
        raise AssertionError("the truth was asked for")

    rivals = render = check = state_at = truth


@exactly
@given(samples=_samples)
def test_no_ground_truth_reaches_flags_or_votes(samples):
    """A task whose truth, rivals and render raise is judged, counted and replayed exactly like the honest one."""
    samples = [*samples, *[Sample(GOOD)] * 40]
    blind, honest = _poll(_Blind(3)), _poll()
    waves = _run(blind, samples)
    assert waves == _run(honest, samples)
    assert _standing(blind) == _standing(honest)
    assert _standing(_replayed(waves, task=_Blind(3))) == _standing(honest)


def test_a_wrong_majority_wins():
    """Voting can be wrong: a legal, consistent, wrong answer with more votes is the verdict."""
    poll = _poll()
    _run(poll, map(Sample, [RIVAL, GOOD, RIVAL, RIVAL, RIVAL]))
    assert poll.verdict().answer.move == (1, 0, 1)
    assert HANOI.truth(HANOI.initial_state(), 0).move == (1, 0, 2)


@exactly
@given(_samples, st.integers(0, 12))
def test_a_replay_goes_on_from_barred_answers(samples, bar):
    """An answer that was barred in mid-race has no votes, then or later, live and replayed alike."""
    live, told = _poll(k=5), _poll(k=5)
    stream = iter(samples)
    for number in itertools.count():
        for poll in (live, told):
            if number == bar and poll.readings:
                poll.bar([0])
        wave = list(itertools.islice(stream, live.need))
        if live.outcome is not None or len(wave) < live.need:
            break
        told.replay(decode(encode_wave(live.take(wave))))
    assert _standing(live) == _standing(told)
    assert (live.barred, live.looked, live.dead_end) == (told.barred, told.looked, told.dead_end)
    assert not live.barred & live.tally.counts.keys()
    assert sum(live.flags.values()) + live.tally.total == live.drawn


def test_a_wave_that_goes_on_after_its_decision_is_refused():
    """A journaled wave with more draws than could be asked for is named with the first draw too many."""
    wave = Wave(0, 0, [0, 0, 1, 1] * 5, [(True, HANOI.render(HANOI.truth(HANOI.initial_state(), 0)).encode())])
    with pytest.raises(JournalError, match="draw 3 came after the vote was decided"):
        _poll(k=3).replay(wave)


@pytest.mark.parametrize("first", [0, 5, 8])
def test_what_is_asked_at_once_is_what_the_requests_ask(first):
    """The first request of a wave and the seeds of all are those of its requests, whichever its first draw is."""
    poll = Poll(_poll().step, _method(k=6), _poll().prompt, first=first)
    requests = poll.requests()
    asked, seeds = poll.asked()
    assert len(requests) == 6
    assert asked == requests[0]
    assert list(seeds) == [request.seed for request in requests]
    assert [request.address.draw for request in requests] == list(range(first, first + 6))
