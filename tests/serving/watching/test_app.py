"""The page: who may see it, what it shows, what its buttons do, and that nothing of a journal ever runs in it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import maker
from maker.engine.steering.address import tell
from maker.errors import JournalError
from maker.serving.watching import app as module
from maker.serving.watching.app import HEADERS, Page
from maker.testing import ScriptedModel
from scratch import scratch

HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J"
TOKEN = {"X-Token": "secret"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Offer a folder with a run that a hostile model took part in."""
    with scratch() as found:
        model = ScriptedModel([HOSTILE, "yes", "yes"], lockstep=False)
        maker.map_sync("{item}?", range(3), model=model, k=2, journal=found / "run.db")
        yield found


@pytest.fixture
def page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Offer the page of that folder."""
    monkeypatch.setattr(module, "LASTING", 0.05)
    monkeypatch.setattr(module, "EVERY", 0.001)
    with TestClient(Page(folder, "secret").app, base_url="http://127.0.0.1:8020") as client:
        yield client


def events(page: TestClient, name: str) -> list[dict[str, Any]]:
    """Return what one stream brings, the first that has all of the journal in the end."""
    while True:
        text = page.get("/events", params={"run": name, "token": "secret"}).text
        said = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        if not said[-1]["reading"]:
            return said


def test_without_the_token_nothing_is_said(page: TestClient) -> None:
    """The page itself, which is empty, is all that one gets without the printed address."""
    for path in ("/runs", "/events?run=run.db", "/step?run=run.db&step=0", "/tree?run=run.db", "/runs?token=guess"):
        assert page.get(path).status_code == 401
    assert page.post("/order", json={"run": "run.db", "order": "stop"}).status_code == 401
    assert "run.db" not in page.get("/").text
    assert page.get("/runs", headers=TOKEN).json()["runs"][0]["name"] == "run.db"


@pytest.mark.parametrize("path", ["/", "/page.js", "/runs"])
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "evil.example:8020"}, {"Origin": "http://evil.example"}]
)
def test_other_names_and_other_pages_are_refused(page: TestClient, path: str, headers: dict[str, str]) -> None:
    """No page of another origin, and no name that was pointed here, gets an answer."""
    assert page.get(path, headers=headers | TOKEN).status_code == 403


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../run.db", "/etc/passwd", "none.db", "run.db-wal", "x\0y", "sub/run.db", "run.db/"]
)
def test_only_listed_journals_are_read(page: TestClient, name: str) -> None:
    """No name leads out of the folder, or to a file that is no journal."""
    assert page.get("/events", params={"run": name}, headers=TOKEN).status_code == 404


def test_nothing_of_a_journal_runs_in_the_page(page: TestClient, folder: Path) -> None:
    """The policy allows no script but the page's own file; that sets texts only; hostile ones come as JSON text."""
    policy = page.get("/").headers["Content-Security-Policy"]
    assert policy == HEADERS["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    html, script = page.get("/").text, page.get("/page.js").text
    assert not re.search(r"<script(?! src=\"/page.js\")|\son\w+=|style=|https?://", html)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|https?://", script
    )
    steps = events(page, "run.db")[-1]["last"]
    found = page.get("/step", params={"run": "run.db", "step": steps[0]["step"]}, headers=TOKEN)
    assert found.headers["Content-Type"] == "application/json"
    assert [answer["text"] for answer in found.json()["answers"]] == ["yes", "<script>alert(1)</script>\\u202e\\x1b[2J"]


def test_the_page_shows_how_a_run_stands(page: TestClient) -> None:
    """A stream begins at once, ends by itself so that the next one follows, and says only what has changed."""
    said = events(page, "run.db")
    assert (said[-1]["steps"], said[-1]["total"], said[-1]["solved"], said[-1]["live"]) == (3, 3, True, None)
    assert len(said) == len({json.dumps(one) for one in said})


@pytest.mark.parametrize("step", ["", "x", "-1", "99", "9" * 400, "²"])
def test_odd_steps_are_refused(page: TestClient, step: str) -> None:
    """What is no step, or none that is shown, is an answer and no traceback."""
    assert page.get("/step", params={"run": "run.db", "step": step}, headers=TOKEN).status_code in (400, 404)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"run": "run.db", "order": "set"}', b'{"run": 1, "order": 2}']
)
def test_odd_orders_are_refused(page: TestClient, body: bytes) -> None:
    """The buttons give three orders, and nothing else goes through the page."""
    assert page.post("/order", content=body, headers=TOKEN).status_code in (400, 404)


def test_an_order_to_no_run_says_so(page: TestClient) -> None:
    """Where nobody listens, the page hears why."""
    said = page.post("/order", json={"run": "run.db", "order": "stop"}, headers=TOKEN)
    assert (said.status_code, "no run is under way" in said.json()["error"]) == (400, True)


def test_a_run_is_steered_from_the_page(page: TestClient, folder: Path) -> None:
    """A run under way shows its limits, is stopped by a button, and its journal shows that it ended."""
    journal = folder / "live.db"
    limits = {"max_calls": 2, "on_limit": "pause"}
    run = threading.Thread(
        target=lambda: maker.map_sync(
            "{item}?", range(4), model=ScriptedModel(["yes"], lockstep=False), k=2, journal=journal, limits=limits
        )
    )
    run.start()
    state = ""
    while state != "asking":
        with suppress(JournalError):
            state = tell(journal, {"order": "status"})["state"]
    live = events(page, "live.db")[-1]["live"]
    assert (live["state"], live["limits"]["max_calls"]) == ("asking", 2)
    assert page.get("/runs", headers=TOKEN).json()["runs"][0] == {
        "name": "live.db", "runs": True, "task": "map", "model": "scripted",
    }  # fmt: skip
    assert page.post("/order", json={"run": "live.db", "order": "stop"}, headers=TOKEN).json()["state"] == "stopping"
    run.join()
    while not (said := events(page, "live.db")[-1])["over"]:
        pass
    assert (said["stopped"], said["live"]) == ("interrupted", None)


def test_a_solve_has_a_tree(page: TestClient, folder: Path) -> None:
    """The problems of a solve come nested."""
    from solve_model import NoisySolver

    maker.solve_sync("12 * 34", model=NoisySolver(), k=1, journal=folder / "solve.db")
    tree = page.get("/tree", params={"run": "solve.db"}, headers=TOKEN).json()["tree"]
    assert (tree["problem"], tree["answer"]) == ("12 * 34", "408")


def test_few_journals_are_followed_at_once(page: TestClient, folder: Path) -> None:
    """The one that nobody has asked for longest is let go."""
    for number in range(module.MOST_READINGS + 2):
        maker.map_sync("{item}?", range(1), model=ScriptedModel(["yes"]), k=1, journal=folder / f"{number}.db")
        events(page, f"{number}.db")
    following = [thread for thread in threading.enumerate() if thread.name == "reading"]
    assert len(following) <= module.MOST_READINGS
