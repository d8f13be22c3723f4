"""First to ahead by k: waves against the slow and obvious voter, the limits, the counts, the formulas."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maker import theory
from maker.decision.race import Outcome, Tally, Verdict, Votes, first_to_ahead
from maker.task.canonical import canonical
from maker.theory.votes.mixture import Steps
from maker.theory.votes.tables import Table, table_for

exactly = settings(derandomize=True, max_examples=150, deadline=None)
PLENTY = 10**9


def _one_at_a_time(stream, k, max_votes=PLENTY, max_flags=PLENTY, table=None):
    """Vote the slow and obvious way: after every single ballot look whether anything ends the race.

    Returns (winner, limit, samples). The limits: no way left to decide, or as many flags as allowed.
    """
    margins = table or Table(k)
    max_votes = min(max_votes, table.most) if table else max_votes
    counts: dict[bytes, int] = {}
    flagged = samples = 0
    while True:
        best, second, *_ = [*sorted(counts.values(), reverse=True), 0, 0]
        total = sum(counts.values())
        if best - second >= margins.need(total):
            return next(key for key, n in counts.items() if n == best), None, samples
        ways = (votes for votes in range(1, 999) if best - second + votes >= margins.need(total + votes))
        if total + next(ways, PLENTY) > max_votes:
            return None, "max_votes", samples
        if flagged >= max_flags:
            return None, "max_flags", samples
        ballot = stream[samples]
        samples += 1
        if ballot is None:
            flagged += 1
        else:
            counts[ballot] = counts.get(ballot, 0) + 1


def _in_waves(stream, k, max_votes=PLENTY, max_flags=PLENTY, mix=lambda wave: wave, table=None, weights=(), first=0):
    """Run the generator over a stream of ballots; return the outcome, samples, sizes of waves and tally."""
    tally = Tally()
    race = first_to_ahead(k, max_votes, max_flags, tally, table, weights, first)
    sizes: list[int] = []
    at = 0
    try:
        need = next(race)
        while True:
            wave = mix(stream[at : at + need])
            at += need
            sizes.append(need)
            need = race.send(wave)
    except StopIteration as end:
        return end.value, at, sizes, tally


def _one_at_a_time_weighed(stream, k, weights, at, max_votes=PLENTY, max_flags=PLENTY):
    """Vote the slow way with votes that weigh differently by turn. at: the number of the first draw."""
    counts: dict[bytes, int] = {}
    flagged = samples = 0
    while True:
        best, second, *_ = [*sorted(counts.values(), reverse=True), 0, 0]
        if best - second >= k:
            return next(key for key, n in counts.items() if n == best), None, samples
        coming = [weights[(at + samples + i) % len(weights)] for i in range(k)]
        ways = (sum(coming[:n]) for n in range(1, k + 1) if best - second + sum(coming[:n]) >= k)
        if sum(counts.values()) + next(ways) > max_votes:
            return None, "max_votes", samples
        if flagged >= max_flags:
            return None, "max_flags", samples
        ballot = stream[samples]
        if ballot is None:
            flagged += 1
        else:
            counts[ballot] = counts.get(ballot, 0) + weights[(at + samples) % len(weights)]
        samples += 1


def _endless(ballots, k):
    """Let a stream end with enough votes for one answer to decide any race."""
    return [*ballots, *[b"A"] * (len(ballots) + k)]


_ballots = st.lists(st.sampled_from([b"A", b"A", b"B", b"B", b"C", b"D", None]), max_size=60)
_ks = st.integers(1, 7)


# -- waves are one-at-a-time voting ------------------------------------------------------------------


@exactly
@given(_ballots, _ks)
def test_waves_take_exactly_the_samples_of_one_at_a_time_voting(ballots, k):
    """Winner and number of samples are those of looking after every single ballot, flags and many answers included."""
    stream = _endless(ballots, k)
    winner, limit, samples = _one_at_a_time(stream, k)
    outcome, drawn, _, tally = _in_waves(stream, k)
    assert (outcome.winner, outcome.limit, drawn) == (winner, limit, samples)
    assert tally.margin == k
    assert tally.total + tally.flagged == drawn


@exactly
@given(_ballots, _ks, st.integers(1, 30), st.integers(1, 10))
@example([b"A", b"B"], 3, 4, 10)
@example([None, None], 2, 30, 2)
@example([], 3, 2, 1)
def test_limits_end_the_same_races_the_same_way(ballots, k, max_votes, max_flags):
    """Under any limits waves decide, or stop, as one-at-a-time voting does, and draw no sample more to decide."""
    stream = _endless(ballots, k)
    winner, limit, samples = _one_at_a_time(stream, k, max_votes, max_flags)
    outcome, drawn, sizes, tally = _in_waves(stream, k, max_votes, max_flags)
    assert (outcome.winner, outcome.limit) == (winner, limit)
    assert tally.total <= max_votes
    assert tally.flagged <= max_flags
    if limit is None:
        assert drawn == samples
    else:
        assert samples <= drawn < samples + max([*sizes, 1])  # an undecided race may finish its last wave


@exactly
@given(_ballots, _ks, st.randoms(use_true_random=False))
def test_order_inside_a_wave_does_not_matter(ballots, k, rng):
    """Shuffling the ballots of every wave changes neither winner, nor samples, nor waves, nor counts."""

    def mixed(wave):
        wave = list(wave)
        rng.shuffle(wave)
        return wave

    stream = _endless(ballots, k)
    outcome, drawn, sizes, tally = _in_waves(stream, k)
    again, drawn_again, sizes_again, tally_again = _in_waves(stream, k, mix=mixed)
    assert (again, drawn_again, sizes_again) == (outcome, drawn, sizes)
    assert (tally_again.counts, tally_again.flagged) == (tally.counts, tally.flagged)


@exactly
@given(_ballots, _ks)
def test_every_wave_is_k_minus_the_margin(ballots, k):
    """The race asks for exactly `k - margin` ballots each time, and first for k."""
    tally = Tally()
    race = first_to_ahead(k, PLENTY, PLENTY, tally)
    stream = iter(_endless(ballots, k))
    need = next(race)
    assert need == k
    while True:
        assert need == k - tally.margin >= 1
        try:
            need = race.send([next(stream) for _ in range(need)])
        except StopIteration:
            break


# -- a table of margins ------------------------------------------------------------------------------

_tables = st.one_of(
    st.builds(
        lambda k, gaps: Table(k, tuple(np.cumsum([k, *gaps])[1:].tolist()), 300),
        _ks, st.lists(st.integers(1, 9), max_size=12),
    ),
    st.sampled_from([table_for(Steps(0.9, 0.1), 0.01), table_for(Steps(0.8, 0.05), 0.1)]),
)  # fmt: skip


@exactly
@given(_ballots, _tables, st.integers(1, 60), st.integers(1, 10), st.booleans())
def test_a_table_in_waves_is_one_at_a_time_voting(ballots, table, max_votes, max_flags, limited):
    """Winner, limit and samples are those of looking after every ballot; the winner leads by just what is needed."""
    stream = [*_endless(ballots, table.k), *[b"A"] * 600]
    most = (max_votes, max_flags) if limited else (PLENTY, PLENTY)
    winner, limit, samples = _one_at_a_time(stream, table.k, *most, table)
    outcome, drawn, sizes, tally = _in_waves(stream, table.k, *most, table=table)
    assert (outcome.winner, outcome.limit) == (winner, limit)
    assert samples <= drawn < samples + max([*sizes, 1])
    if winner is not None:
        assert drawn == samples
        assert tally.margin == table.need(tally.total)


@exactly
@given(_ballots, _tables, st.randoms(use_true_random=False))
def test_order_inside_a_wave_does_not_matter_to_a_table(ballots, table, rng):
    """Shuffled waves have the same winner, samples and sizes, and no ballot but the last of a wave decides."""
    stream = [*_endless(ballots, table.k), *[b"A"] * 600]
    outcome, drawn, sizes, _ = _in_waves(stream, table.k, table=table)
    again = _in_waves(stream, table.k, mix=lambda wave: rng.sample(wave, len(wave)), table=table)
    assert again[:3] == (outcome, drawn, sizes)


@exactly
@given(_ballots, _ks)
def test_a_table_that_never_widens_is_constant_k(ballots, k):
    """Races by a table of one margin are the races by k, wave by wave."""
    stream = _endless(ballots, k)
    assert _in_waves(stream, k, table=Table(k))[:3] == _in_waves(stream, k)[:3]


def test_a_coin_is_not_decided_by_luck():
    """A lead of four that ends a vote of four votes does not end one of forty: the race asks for more."""
    table = table_for(Steps(0.96, 0.1), 1e-3)
    assert _in_waves([b"A"] * 4, 4, table=table)[0] == Outcome(b"A")
    stream = [*[b"A", b"B"] * 18, *[b"A"] * 4]
    assert _in_waves(stream, 4)[0] == Outcome(b"A")
    assert _in_waves([*stream, *[b"A"] * 99], 4, max_votes=60, table=table)[0] == Outcome(None, "max_votes")


# -- weights of a pool -------------------------------------------------------------------------------

_weights = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)


@exactly
@given(_ballots, st.integers(1, 20), _weights, st.integers(0, 5), st.integers(1, 200), st.integers(1, 5), st.booleans())
def test_weighed_waves_are_one_at_a_time_voting(ballots, k, weights, first, max_votes, max_flags, limited):
    """Winner, limit and samples are those of looking after every draw, whichever turn the first of them is."""
    limits = (max_votes, max_flags) if limited else (PLENTY, PLENTY)
    stream = _endless(ballots, k)
    winner, limit, samples = _one_at_a_time_weighed(stream, k, weights, first, *limits)
    outcome, taken, sizes, tally = _in_waves(stream, k, *limits, weights=weights, first=first)
    assert (outcome, taken, sum(sizes)) == (Outcome(winner, limit), samples, samples)
    counts = {}
    for draw, ballot in enumerate(stream[:taken], first):
        if ballot is not None:
            counts[ballot] = counts.get(ballot, 0) + weights[draw % len(weights)]
    assert (tally.counts, tally.flagged) == (counts, stream[:taken].count(None))


@exactly
@given(_ballots, _ks, st.integers(1, 4))
def test_weights_of_one_change_nothing(ballots, k, turns):
    """Waves, winner and count are those of a race without weights."""
    stream = _endless(ballots, k)
    assert _in_waves(stream, k, weights=(1,) * turns) == _in_waves(stream, k)


# -- what decides, and what does not -----------------------------------------------------------------


def test_first_to_ahead_is_not_first_to_k():
    """Three votes against two do not win at k = 3: the leader must be three ahead of the runner-up."""
    stream = [b"A", b"B", b"A", b"B", b"A", b"B", b"B", b"B", b"B"]
    outcome, drawn, _, tally = _in_waves(stream, 3)
    assert outcome == Outcome(b"B")
    assert (drawn, tally.counts) == (9, {b"A": 3, b"B": 6})


def test_the_margin_is_to_the_strongest_rival_not_to_all_others_together():
    """With votes A5 B2 C2 D2 the leader is three ahead, although the others have more votes together."""
    stream = [b"A", b"B", b"C", b"D", b"A", b"B", b"C", b"D", b"A", b"A", b"A"]
    outcome, drawn, _, tally = _in_waves(stream, 3)
    assert outcome == Outcome(b"A")
    assert (drawn, tally.counts[b"A"], tally.total - tally.counts[b"A"]) == (11, 5, 6)


def test_an_18_vote_race_survives():
    """The published run's hardest step took 18 votes at k = 3 (here 10 to 7, and one more rival): it is decided."""
    stream = [*[b"A", b"B"] * 7, b"C", b"A", b"A", b"A"]
    assert len(stream) == 18
    outcome, drawn, _, tally = _in_waves(stream, 3, max_votes=60)
    assert outcome == Outcome(b"A")
    assert (drawn, tally.total, tally.margin) == (18, 18, 3)
    assert _in_waves(stream, 3, max_votes=10)[0] == Outcome(None, "max_votes")


@pytest.mark.parametrize(("k", "stream"), [(1, [b"A"]), (3, [b"A"] * 3), (2, [b"A", b"B", b"A", b"A"])])
def test_a_decision_on_the_last_allowed_vote_is_a_decision(k, stream):
    """A race that is won with exactly the last allowed vote is won; with one vote less it is undecided."""
    outcome, drawn, _, _ = _in_waves(stream, k, max_votes=len(stream))
    assert (outcome, drawn) == (Outcome(b"A"), len(stream))
    assert _in_waves([*stream, b"A"], k, max_votes=len(stream) - 1)[0] == Outcome(None, "max_votes")


@pytest.mark.parametrize("k", [2, 3, 5])
def test_a_limit_never_becomes_a_plurality(k):
    """A leader who is k - 1 ahead at the limit has not won: the race ends undecided and names the limit."""
    stream = [*[b"A"] * (k - 1), b"B", *[b"A", b"B"] * 50]
    outcome, _, _, tally = _in_waves(stream, k, max_votes=20)
    assert outcome == Outcome(None, "max_votes")
    assert tally.counts[b"A"] > tally.counts[b"B"] or tally.margin == 0
    assert tally.total <= 20


def test_a_race_that_cannot_end_is_not_started():
    """When the limit is below k no ballot is asked for at all."""
    with pytest.raises(StopIteration) as end:
        next(first_to_ahead(3, 2, 5))
    assert end.value.value == Outcome(None, "max_votes")


@pytest.mark.parametrize("max_flags", [1, 2, 3, 7])
def test_max_flags_is_strict(max_flags):
    """All-flagged races draw exactly `max_flags` samples and then stop by that name."""
    outcome, drawn, _, tally = _in_waves([None] * 100, 3, max_flags=max_flags)
    assert (outcome, drawn, tally.flagged) == (Outcome(None, "max_flags"), max_flags, max_flags)


def test_flags_below_the_limit_do_not_stop_a_race():
    """One flag less than allowed, and the race is decided by the votes as if there were none."""
    outcome, drawn, _, tally = _in_waves([None] * 4 + [b"A"] * 3, 3, max_flags=5)
    assert (outcome, drawn, tally.flagged, tally.margin) == (Outcome(b"A"), 7, 4, 3)


def test_a_decision_comes_before_the_flag_limit():
    """The last wave may bring the deciding vote and the last allowed flag together: that is a decision."""
    outcome, drawn, _, _ = _in_waves([None, None, b"A"], 1, max_flags=3)
    assert (outcome, drawn) == (Outcome(b"A"), 3)


def test_an_empty_answer_can_win():
    """A ballot of no bytes is a vote like any other; only None is none."""
    outcome, drawn, _, tally = _in_waves([b"", None, b"", b""], 3)
    assert (outcome, drawn, tally.counts, tally.flagged) == (Outcome(b""), 4, {b"": 3}, 1)


def test_a_wave_of_the_wrong_size_is_refused():
    """The race counts only waves of just the size it asked for."""
    for wave in ([b"A"], [b"A"] * 4):
        race = first_to_ahead(3, 100, 100)
        next(race)
        with pytest.raises(AssertionError, match="as many ballots"):
            race.send(wave)


def test_a_race_goes_on_from_a_tally_that_was_counted_before():
    """A race started with a counted tally asks for what is missing only: so a replayed step continues."""
    tally = Tally()
    for ballot in (b"A", b"A", b"B", None):
        tally.add(ballot)
    race = first_to_ahead(3, 100, 100, tally)
    assert next(race) == 2
    with pytest.raises(StopIteration) as end:
        race.send([b"A", b"A"])
    assert end.value.value == Outcome(b"A")
    with pytest.raises(StopIteration) as end:
        next(first_to_ahead(3, 100, 100, tally))
    assert end.value.value == Outcome(b"A")


def test_an_answer_that_is_taken_out_leaves_the_race_to_the_others():
    """Without the favourite's votes the race is that of the others: won with all that is left, or going on."""
    for rest, outcome in ((3, Outcome(b"B")), (2, None)):
        tally = Tally()
        for ballot in (*[b"A"] * 5, *[b"B"] * rest):
            tally.add(ballot)
        assert tally.drop(b"A") == 5
        assert (tally.leader, tally.margin, tally.total) == (b"B", rest, rest)
        race = first_to_ahead(2 if outcome else 3, 100, 100, tally)
        if outcome is None:
            assert next(race) == 1
            continue
        with pytest.raises(StopIteration) as end:
            next(race)
        assert end.value.value == outcome
    assert (tally.drop(b"B"), tally.drop(b"C"), tally.leader, tally.margin) == (2, 0, None, 0)


# -- the count ---------------------------------------------------------------------------------------


@exactly
@given(_ballots)
def test_margin_and_leader_follow_from_the_counts(ballots):
    """At every ballot the margin is the best count minus the second best, and the leader has the best one."""
    tally = Tally()
    for ballot in ballots:
        tally.add(ballot)
        best, second, *_ = [*sorted(tally.counts.values(), reverse=True), 0, 0]
        assert tally.margin == best - second
        assert tally.leader is None if not best else tally.counts[tally.leader] == best
    assert tally.total == sum(tally.counts.values()) == len(ballots) - ballots.count(None)
    assert tally.flagged == ballots.count(None)


@pytest.mark.parametrize(
    ("ballots", "margin"),
    [([], 0), ([None, None], 0), ([b"A"], 1), ([b"A", b"B"], 0), ([b"A", b"A", b"B", b"C"], 1), ([b""], 1)],
)
def test_margin_counts_nothing_as_zero(ballots, margin):
    """Without votes the margin is 0, without a rival it is all the leader's votes."""
    tally = Tally()
    for ballot in ballots:
        tally.add(ballot)
    assert tally.margin == margin


@pytest.mark.parametrize(
    ("counts", "effective"), [([], 1), ([5], 1), ([1, 1], 2), ([7, 7, 7], 3), ([2, 1, 1], 2 * math.sqrt(2))]
)
def test_entropy_is_that_of_the_votes_in_nats(counts, effective):
    """e^H is the effective number of answers: 1 for no or one answer, n for n equal ones; flags do not count."""
    tally = Tally()
    for number, n in enumerate(counts):
        for _ in range(n):
            tally.add(b"%d" % number)
            tally.add(None)
    assert math.isclose(math.exp(tally.entropy), effective, rel_tol=1e-12)
    assert math.copysign(1, tally.entropy) == 1


# -- votes by answer ---------------------------------------------------------------------------------


def _votes(*pairs):
    return Votes({canonical(answer): (answer, n) for answer, n in pairs})


def test_votes_take_answers_that_have_no_hash():
    """Lists, dicts and mixtures of them are keys, found by content, tuples being lists."""
    votes = _votes(([1, [2]], 3), ({"a": [1]}, 2))
    assert votes[[1, [2]]] == votes[(1, (2,))] == 3
    assert votes[{"a": (1,)}] == 2
    assert [1, [2]] in votes
    assert [1, 2] not in votes
    assert votes.get([9], 0) == 0


def test_votes_tell_true_from_one():
    """True, 1, 1.0 and "1" have counts of their own."""
    votes = _votes((True, 1), (1, 2), (1.0, 3), ("1", 4))
    assert [votes[key] for key in (True, 1, 1.0, "1")] == [1, 2, 3, 4]
    assert (len(votes), sum(votes.values())) == (4, 10)


@pytest.mark.parametrize("missing", ["no", None, float("nan"), object(), [object()]])
def test_votes_of_an_answer_that_got_none_are_a_key_error(missing):
    """An answer without votes raises KeyError, also one that could never be an answer."""
    votes = _votes(("yes", 1))
    with pytest.raises(KeyError):
        votes[missing]
    assert missing not in votes


def test_votes_compare_by_content():
    """Votes equal any mapping with the same answers and counts, whatever the order, and tell True from 1."""
    votes = _votes(("a", 1), (2, 3))
    assert votes == {2: 3, "a": 1}
    assert votes == {2: 3, "a": 1}
    assert votes == _votes((2, 3), ("a", 1))
    assert _votes(((1, 2), 1)) == _votes(([1, 2], 1))
    assert votes not in ({"a": 1}, {"a": 1, 2: 4}, {"a": 1, 2.0: 3}, {"a": 1, 2: 3, "b": 0}, {object(): 1}, "a", 3)
    assert _votes((1, 1)) != {True: 1}
    with pytest.raises(TypeError, match="unhashable"):
        hash(votes)


def test_votes_are_a_mapping():
    """Keys, values, items, iteration, length and repr agree with one another, in order of first appearance."""
    votes = _votes(([1], 2), ("b", 1))
    assert list(votes) == list(votes.keys()) == [[1], "b"]
    assert list(votes.values()) == [2, 1]
    assert list(votes.items()) == [([1], 2), ("b", 1)]
    assert repr(votes) == "{[1]: 2, 'b': 1}"
    assert len(votes) == 2
    assert not _votes()


def test_a_tally_names_its_votes():
    """`votes` of a tally gives each count under the answer that the caller named for its key."""
    tally = Tally()
    for answer in ([1], [2], [1]):
        tally.add(canonical(answer))
        tally.answers[canonical(answer)] = answer
    assert tally.votes == _votes(([1], 2), ([2], 1))


def test_a_verdict_cannot_be_changed():
    """A verdict is frozen."""
    verdict = Verdict(0, "a", _votes(("a", 3)), 3, 0, {}, 3, 0.0, 1)
    with pytest.raises(AttributeError):
        verdict.answer = "b"


# -- the formulas ------------------------------------------------------------------------------------


def _simulated(p, k, races, seed):
    """Run independent races of two answers; return (wins of the right one, samples, waves)."""
    draws = iter(np.where(np.random.default_rng(seed).random(races * k * k * 4) < p, 1, 0).tolist())
    ballot = (b"wrong", b"right")
    wins = samples = waves = 0
    for _ in range(races):
        race = first_to_ahead(k, PLENTY, PLENTY)
        need = next(race)
        try:
            while True:
                samples += need
                waves += 1
                need = race.send([ballot[next(draws)] for _ in range(need)])
        except StopIteration as end:
            wins += end.value.winner == b"right"
    return wins, samples, waves


@pytest.mark.parametrize(("p", "k"), [(0.95, 3), (0.9, 6), (0.99, 4)])
def test_samples_a_step_are_within_one_percent_of_theory(p, k):
    """The realised samples per step are within 1% of k (2 p_sub - 1) / (2p - 1)."""
    races = 30_000
    _, samples, _ = _simulated(p, k, races, seed=2)
    assert samples / races == pytest.approx(theory.expected_votes(p, k), rel=0.01)


def test_waves_a_step_are_few():
    """At k = 3 and p = .95 a step takes 1.16 waves: what one round trip costs decides the speed of a run."""
    _, _, waves = _simulated(0.95, 3, 30_000, seed=3)
    assert waves / 30_000 == pytest.approx(1.16, rel=0.01)


def test_realised_error_agrees_with_the_formula():
    """Over 12 pairs (p, k) the wins follow 1 / (1 + ((1-p)/p)^k): one pooled chi-square test, p > .001."""
    races, chi_square = 3_000, 0.0
    pairs = [(p, k) for p in (0.55, 0.6, 0.7, 0.8) for k in (1, 2, 4)]
    for number, (p, k) in enumerate(pairs):
        wins, _, _ = _simulated(p, k, races, seed=100 + number)
        right = theory.step_success(p, k)
        chi_square += (wins - races * right) ** 2 / (races * right * (1 - right))
    assert chi_square < 32.91  # the .999 quantile at 12 degrees of freedom
    assert chi_square > 2.21  # the .001 quantile: agreement too good to be a simulation would be a bug as well
