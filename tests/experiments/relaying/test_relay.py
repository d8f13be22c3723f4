"""The experiment `relay`: what is left falls where nothing is voted on, and theory lies beside it."""

from __future__ import annotations

import pytest

from maker.experiments.kit.study import Options, Share
from maker.experiments.relaying import relay
from maker.experiments.relaying.documents import written
from maker.experiments.relaying.editors import Reply
from maker.experiments.relaying.trips import ARMS, Run
from tiny import tiny


def test_a_small_study_has_all_arms():
    """Each arm has its runs and its line; what is simulated is called so."""
    study = tiny("relay")
    assert {row["arm"] for row in study.rows} == {arm.name for arm in ARMS}
    assert len(study.table) == 1 + len(ARMS)
    assert "simulated" in study.shows and "replies as right as measured ones" in study.simulated
    study.draw(figure := pytest.importorskip("matplotlib.figure").Figure())
    assert len(figure.axes) == 3


def test_nothing_is_measured_of_a_model_that_cannot_do_it():
    """Where hardly a single edit is right no ledger is sent on, and that is said with p."""
    tried = {"JSON": relay.trials(lambda jobs: [Reply("?", 1)] * len(jobs), "JSON", 2, 5, 0)}
    assert relay._hopeless(tried["JSON"])
    assert relay.shows([], tried, 0) == "JSON: nothing to measure: no single edit came back in the form asked for."
    few = {"JSON": {(0, False): Share(1, 50)}}
    assert relay.shows([], few, 0) == "JSON: nothing to measure: p = 0.02 of single edits."
    assert relay.table([], tried, 0)[1][:2] == ["JSON", "single edits"]


class Asked:
    """A model that edits rightly, or says nothing of use; it counts what it was asked."""

    name = "asked"

    def __init__(self, able):
        self.able, self.calls = able, 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __call__(self, jobs):
        self.calls += len(jobs)
        rights = [job.right() if self.able else [] for job in jobs]
        return [Reply(right if isinstance(right, str) else written(right, job.form), 1)
                for right, job in zip(rights, jobs, strict=True)]  # fmt: skip


@pytest.mark.parametrize(
    ("able", "said"), [(True, "RS@4 is A 1 (1 to 1)"), (False, "nothing to measure: no single edit came back")]
)
def test_a_model_is_asked_little_when_it_is_quick(monkeypatch, able, said):
    """At most 300 calls with --quick; what cannot edit at all ends after the single edits, with rows to keep."""
    model = Asked(able)
    monkeypatch.setattr(relay, "ModelEditor", lambda *_: model)
    study = relay.run(Options(quick=True, model="some"))
    assert model.calls <= 300
    assert study.simulated == "nothing" and said in study.shows
    assert len(study.rows) == (len(ARMS) if able else 1)
    study.draw(pytest.importorskip("matplotlib.figure").Figure())


def test_an_edit_is_trusted_when_it_is_shown_to_be_right_more_often_than_not():
    """Nine of ten is enough, seven is not; what never had a vote is not trusted."""
    assert relay._trusted(Share(9, 10))
    assert not relay._trusted(Share(7, 10))
    assert not relay._trusted(Share(0, 0))


def test_theory_is_the_product_over_the_edits():
    """p^2 after a trip of one call each way, and p_sub^2 with a vote."""
    tried = {(edit, back): Share(9, 10) for edit in range(5) for back in (False, True)}
    assert relay.expected("JSON", ARMS[2], 2, tried) == pytest.approx([0.9**2, 0.9**4])
    sub = 0.9**3 / (0.9**3 + 0.1**3)
    assert relay.expected("JSON", ARMS[3], 1, tried) == pytest.approx([sub**2])


def test_critical_drops_are_counted_with_their_share_of_the_loss():
    """A tenth or more in one trip; gains do not count."""
    run = Run("JSON", ARMS[0].name, 0, 10, scores=[0.95, 0.75, 0.8])
    many, share = relay._critical([run])
    assert (many, share) == (1, pytest.approx(0.8))
