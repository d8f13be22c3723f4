"""The ladder: each rung rescues its own kind of trouble."""

from __future__ import annotations


def test_each_rung_rescues_its_kind_and_none_guesses(outcomes):
    """Kinds of trouble finish only once their rung is on, the hopeless never, and no run ends with a wrong result."""
    finished = {(row["arm"], row["kind"]): row["finished_seen"] for row in outcomes["ladder"].rows}
    cures = {"cold": "+ refine", "touchy": "+ reword", "stubborn": "+ another model", "too big": "+ finer"}
    arms = list(dict.fromkeys(arm for arm, _ in finished))
    for kind, cure in cures.items():
        for arm in arms:
            if arms.index(arm) >= arms.index(cure):
                assert finished[arm, kind] == 2, (arm, kind)
        assert finished["off", kind] < 2
    assert not any(seen for (_, kind), seen in finished.items() if kind == "hopeless")
    assert all(row["ended_wrong"] == 0 for row in outcomes["ladder"].rows)
    assert all(row["with_wrong_step"] == 0 for row in outcomes["ladder"].rows if row["kind"] != "unlucky")
