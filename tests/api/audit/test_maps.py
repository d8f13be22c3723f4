"""A map is judged as a run is: by its own items and questions, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import maker
from maker.errors import JournalError, TaskError
from maker.testing import ScriptedModel

WORDS = [f"w{number}" for number in range(60)]
PROMPT = "Say {item} in capitals."


def said(request: Any, wrong: frozenset[int] = frozenset({7})) -> str:
    """Answer in capitals, but at one item."""
    word = request.prompt.split()[1]
    return word if int(word[1:]) in wrong else word.upper()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the journal of a map of sixty items."""
    path = tmp_path_factory.mktemp("audit") / "map.db"
    assert len(maker.map_sync(PROMPT, WORDS, model=ScriptedModel(said), k=2, journal=path)) == 60
    return path


def test_a_checker_gets_the_item(journal: Path) -> None:
    """It sees item, position and answer, and finds the wrong one."""
    found = maker.audit_sync(journal, by=lambda item, at, text: text == item.upper() and item == WORDS[at],
                             items=WORDS, prompt=PROMPT)  # fmt: skip
    assert [one.step for one in found.disputed] == [7] and found.high == 1 and found.decided == 60


def test_a_checker_gets_the_answer_itself_where_it_is_counted_by_a_key(tmp_path: Path) -> None:
    """A key is for counting, not for judging."""
    path = tmp_path / "map.db"
    maker.map_sync(PROMPT, WORDS, model=ScriptedModel(said), k=1, journal=path, key=str.lower)
    seen: list[str] = []
    maker.audit_sync(path, by=lambda _, at, text: not seen.append(text), items=WORDS, prompt=PROMPT, key=str.lower)
    assert "W1" in seen and "w7" in seen


def test_a_model_is_asked_about_the_items(journal: Path, tmp_path: Path) -> None:
    """It disagrees where it answers otherwise; maps with other wordings are asked in the first."""
    judge = ScriptedModel(lambda request: said(request, frozenset({9})))
    found = maker.audit_sync(journal, by=judge, items=WORDS, prompt=PROMPT, to=tmp_path / "a.db")
    assert {one.step: one.said for one in found.disputed} == {7: "W7", 9: "w9"}
    path = tmp_path / "worded.db"
    maker.map_sync(PROMPT, WORDS, model=ScriptedModel(said), k=2, journal=path, paraphrases=["Put {item} big."])
    found = maker.audit_sync(path, by=judge, items=WORDS, prompt=PROMPT, to=tmp_path / "b.db")
    assert found.judged == 60 and all(PROMPT.split(maxsplit=1)[0] in request.prompt for request in judge.requests)


def test_other_items_and_none_are_refused(journal: Path, tmp_path: Path) -> None:
    """A map without its items, with others, with another way to read answers; items of what is no map."""
    check: Any = lambda *_: True  # noqa: E731
    with pytest.raises(TaskError, match="is the journal of a map: give items="):
        maker.audit_sync(journal, by=check)
    with pytest.raises(JournalError, match="the prompts of these items are not those"):
        maker.audit_sync(journal, by=check, items=WORDS[::-1], prompt=PROMPT)
    with pytest.raises(TaskError, match="is the journal of another task"):
        maker.audit_sync(journal, by=check, items=WORDS, prompt=PROMPT, answer=int)
    path = tmp_path / "run.db"
    maker.run_sync("hanoi", model="oracle:p=1", k=1, journal=path, limits={"max_steps": 3})
    with pytest.raises(TaskError, match="not of a map: it has no items"):
        maker.audit_sync(path, by=check, items=WORDS)
