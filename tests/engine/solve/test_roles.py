"""What the four roles read and write: one JSON object each, strictly."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.engine.solve.roles import (
    DECOMPOSER,
    DECOMPOSITION_JUDGE,
    ROLES,
    SCHEMAS,
    SOLUTION_JUDGE,
    SOLVER,
    legal,
    numbered,
    prompt,
    read,
    views,
)
from maker.task.canonical import canonical

# Control characters other than these are left out: Python and pydantic differ in which of them are blank.
AWKWARD = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n\t,:[]{}"\\'), min_size=1).filter(
    lambda text: text.strip()
)
SPLIT = {"p1": "a", "p2": "b", "compose": "answer1, [answer2]"}


@settings(derandomize=True, max_examples=50, deadline=None)
@given(AWKWARD, AWKWARD, AWKWARD)
def test_any_text_survives_the_formats(one, two, three):
    """Commas, brackets, quotes and line breaks in a part, a composition or an answer come back as they were."""
    split = {"p1": one, "p2": two, "compose": three}
    said = read(DECOMPOSER, json.dumps({"split": split}))
    assert said == {"split": {key: text.strip() for key, text in split.items()}}
    assert read(SOLVER, json.dumps({"answer": three})) == {"answer": three.strip()}
    shown = prompt({"role": "decomposer", "problem": one, "refused": [two]}).splitlines()[-1]
    assert json.loads(shown) == {"role": "decomposer", "problem": one, "refused": [two]}


@pytest.mark.parametrize(
    ("role", "text"),
    [
        (DECOMPOSER, '{"split": null, "why": "easy"}'),
        (DECOMPOSER, '{"split": null, "split": null}'),
        (DECOMPOSER, '{"split": {"p1": "a", "p2": "b"}}'),
        (DECOMPOSER, '{"split": {"p1": "a", "p2": " ", "compose": "c"}}'),
        (DECOMPOSER, '{"split": ["a", "b", "c"]}'),
        (DECOMPOSER, "{}"),
        (DECOMPOSER, '```json\n{"split": null}\n```'),
        (SOLVER, '{"answer": 12}'),
        (SOLVER, '{"answer": ""}'),
        (SOLVER, '{"answer": "12"} or {"answer": "13"}'),
        (SOLVER, '{"answer": "\\ud800"}'),
        (SOLVER, "12"),
        (DECOMPOSITION_JUDGE, '{"choice": true}'),
        (DECOMPOSITION_JUDGE, '{"choice": "1"}'),
        (SOLUTION_JUDGE, '{"choice": 1.0}'),
        (SOLUTION_JUDGE, '{"choice": NaN}'),
    ],
)
def test_what_is_not_the_one_object_is_refused(role, text):
    """Unknown, missing and repeated keys, other types, blank text and text around the object are all refused."""
    with pytest.raises(ValueError):  # noqa: PT011 -- any of the JSON and pydantic errors, all of which become flags
        read(role, text)


def test_space_around_text_makes_no_other_candidate():
    """The same reply with other spacing, key order and line breaks has the same vote key."""
    one = read(DECOMPOSER, json.dumps({"split": SPLIT}))
    other = read(
        DECOMPOSER, json.dumps({"split": dict(reversed({k: f" {v}\n" for k, v in SPLIT.items()}.items()))}, indent=2)
    )
    assert canonical(one) == canonical(other)


def test_replies_that_lead_nowhere_are_not_possible():
    """A part that is the problem itself, a refused proposal and a number that no candidate has are not legal."""
    state = {"role": "decomposer", "problem": "a", "refused": [{"split": None}]}
    assert not legal(state, {"split": SPLIT})
    assert not legal(state, {"split": None})
    assert legal({**state, "problem": "ab"}, {"split": SPLIT})
    assert not legal({"problem": "a", "refused": [{"answer": "1"}]}, {"answer": "1"})
    judged = {"problem": "a", "candidates": numbered([{"answer": "1"}, {"answer": "2"}])}
    assert [legal(judged, {"choice": n}) for n in range(-1, 4)] == [False, True, True, True, False]


def test_a_choice_means_the_same_candidate_in_every_order():
    """Whatever the order a judge saw, its choice comes back as the candidate's number in the first order."""
    proposals = [{"answer": text} for text in "abcd"]
    state = {"role": "solution judge", "problem": "p", "candidates": numbered(proposals)}
    orders = []
    for view in views(state):
        shown = json.loads(view.prompt.splitlines()[-1])["candidates"]
        orders.append([item["proposal"]["answer"] for item in shown])
        for item in shown:
            back = read(SOLUTION_JUDGE, view.back(json.dumps({"choice": item["number"]})))
            assert proposals[back["choice"] - 1] == item["proposal"]
        assert view.back('{"choice": 0}') == '{"choice": 0}'
        assert view.back('{"choice": 5}') == '{"choice": 5}'
    assert sorted(order[0] for order in orders) == list("abcd")


def test_prompts_say_what_their_schemas_ask():
    """Each role's prompt names the keys its schema requires; the schemas hold only what strict servers take."""
    for role, schema in zip(ROLES, SCHEMAS, strict=True):
        assert schema["additionalProperties"] is False
        assert not {"minLength", "minimum", "default"} & set(re.findall(r'"(\w+)":', json.dumps(schema)))
        text = prompt({"role": role, "problem": "p", "candidates": []})
        assert all(f'"{key}"' in text for key in schema["required"])


def test_refusals_are_explained_only_where_there_are_some():
    """A proposer hears of refused candidates in the round that has some, and not before."""
    fresh = {"role": "solver", "problem": "p", "refused": []}
    assert "refused was judged wrong" not in prompt(fresh)
    assert "refused was judged wrong" in prompt({**fresh, "refused": [{"answer": "1"}]})
