"""Votes on calls: which replies are one candidate, what is flagged, and where tools cannot be offered."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

import maker
from maker.api.tools.reader import reader_for
from maker.errors import JournalError, ModelError, TaskError, Undecided
from maker.testing import FaultServer, Reply, ScriptedModel, calling, error


def look_up(item: str, depth: float = 1.0) -> int:
    """Look a count up."""
    raise AssertionError("a tool was run")


def order(item: str, count: int, note: Annotated[str, maker.unvoted] = "") -> None:
    """Order more of an item."""


TOOLS = [look_up, order]
NUTS = ("look_up", {"item": "nuts"})


def ask(*script: Any, **settings: Any) -> maker.Verdict[maker.Turn]:
    """Vote on what a script calls."""
    return maker.vote_sync("What next?", model=ScriptedModel(script), tools=TOOLS, **settings)


def test_the_same_calls_are_one_candidate():
    """Whatever the order of keys, the form of numbers, defaults, the form of the arguments, and the text beside."""
    verdict = ask(
        calling(("look_up", '{"depth": 1, "item": "nuts"}'), text="first"), calling(NUTS, text="I look it up."),
        calling(("look_up", {"item": "nuts", "depth": 1.0})),
    )  # fmt: skip
    assert (verdict.samples, verdict.margin, len(verdict.votes)) == (3, 3, 1)
    (call,) = verdict.calls
    assert (call.name, call.arguments) == ("look_up", {"item": "nuts", "depth": 1.0})
    assert verdict.answer.text == "first"
    assert verdict.answer.message["tool_calls"][0]["function"]["arguments"] == '{"depth": 1, "item": "nuts"}'


def test_arguments_and_order_tell_candidates_apart():
    """Another argument, another order of two calls, one call less: each is a candidate of its own."""
    bolts = ("look_up", {"item": "bolts"})
    verdict = ask(
        calling(NUTS), calling(bolts), calling(NUTS, bolts), calling(bolts, NUTS), calling(NUTS, bolts), k=2,
    )  # fmt: skip
    assert sorted(verdict.votes.values())[-1] - sorted(verdict.votes.values())[-2] == 2
    assert len(verdict.votes) == 4
    assert [call.arguments["item"] for call in verdict.calls] == ["nuts", "bolts"]


def test_unvoted_arguments_come_with_the_call():
    """Free text does not keep calls apart, and the first of it stands for all."""
    verdict = ask(*(calling(("order", {"item": "nuts", "count": 2, "note": f"note {i}"})) for i in range(3)))
    assert (verdict.samples, verdict.calls[0].arguments["note"]) == (3, "note 0")


def test_no_call_is_a_candidate():
    """A model that only answers is voted on as that; its words do not count."""
    verdict = ask(
        calling(text="All is in stock."), calling(text="Done."), calling(NUTS), calling(text="Finished."), k=2
    )
    assert (verdict.calls, verdict.answer.text) == ((), "All is in stock.")


BAD = {
    "unknown tool": calling(("delete", {})), "no name": '{"calls":[3],"text":null}',
    "wrong type": calling(("order", {"item": "nuts", "count": "2"})),
    "too much": calling(("look_up", {"item": "", "x": 1})),
    "too little": calling(("order", {"item": "nuts"})), "no JSON": calling(("look_up", '{"item": "nuts"')),
    "one of two": calling(NUTS, ("order", {})),
    "tags": calling(text='<tool_call>{"name": "look_up", "arguments": {"item": "nuts"}}</tool_call>'),
    "as words": calling(text='```json\n{"name": "look_up", "parameters": {"item": "nuts"}}\n```'),
    "by no server": "nuts",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_calls_are_flagged(kind):
    """They have no vote, are drawn again, and are never repaired; paper's flags say so, too."""
    for flags in (None, "paper"):
        verdict = ask(BAD[kind], *[calling(NUTS)] * 5, flags=flags)
        assert (dict(verdict.flags), verdict.calls[0].name) == ({"bad-call": 1}, "look_up")


@pytest.mark.parametrize(("choice", "reply"), [
    ("required", calling(text="Done.")),
    ({"type": "function", "function": {"name": "order"}}, calling(NUTS)),
])  # fmt: skip
def test_a_choice_that_is_not_kept_is_flagged(choice, reply):
    """Where a call has to be, a reply without it, or with another one, has no vote."""
    with pytest.raises(Undecided) as stopped:
        ask(reply, tool_choice=choice, limits={"max_flags": 2})
    assert stopped.value.tally.flagged == 2


def test_key_counts_calls_in_its_own_way():
    """With key=, turns with equal keys are one candidate."""
    verdict = ask(calling(NUTS), calling(("look_up", {"item": "Nuts"})), calling(NUTS),
                  key=lambda turn: [call.arguments["item"].lower() for call in turn.calls])  # fmt: skip
    assert (verdict.samples, len(verdict.votes)) == (3, 1)


def test_requests_carry_tools_only_where_they_are_given():
    """A vote without tools asks as it always did."""
    model = ScriptedModel([calling(NUTS)])
    maker.vote_sync("What?", model=model, tools=TOOLS, tool_choice="auto", k=1)
    maker.vote_sync("What?", model=model, k=1)
    asked, plain = (request.tools for request in model.requests)
    assert [schema["function"]["name"] for schema in asked.schemas] == ["look_up", "order"] and asked.choice == "auto"
    assert plain is None


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"tools": TOOLS, "answer": int}, "leave parse= and answer="), ({"tools": TOOLS, "parse": int}, "leave parse="),
    ({"tool_choice": "auto"}, "without tools"), ({"tools": TOOLS, "tool_choice": "order"}, "give one of"),
    ({"tools": TOOLS, "tool_choice": 3}, "give one of"), ({"tools": TOOLS, "key": 3}, "not callable"),
    ({"tools": TOOLS, "tool_choice": {"function": {"name": "x"}}}, "give one of"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "word"), REFUSED)
def test_arguments_that_do_not_fit_together(settings, word):
    """They are refused before anything is asked."""
    with pytest.raises(TaskError, match=word):
        maker.vote_sync("What?", model=ScriptedModel(["x"]), **settings)


def test_a_reader_is_told_from_another():
    """By schemas, choice, key and what is unvoted; without tools it is the same as ever."""

    def order_(item: str, count: int, note: str = "") -> None:
        """Order more of an item."""

    order_.__name__ = "order"
    told = [
        reader_for("vote", None, None, key, tools, choice).described
        for key, tools, choice in [
            (None, TOOLS, None), (None, [look_up], None), (None, TOOLS, "required"), (len, TOOLS, None),
            (None, [look_up, order_], None), (None, None, None),
        ]
    ]  # fmt: skip
    assert len({str(sorted(one.items())) for one in told}) == 6
    assert told[-1] == {"answer": "text"} and told[0]["unvoted"] == "order.note"


@pytest.mark.parametrize("model", [lambda prompt: "x", "oracle:p=0.9", "http://127.0.0.1:1/v1/completions#m"])
def test_models_without_tools_are_refused(model):
    """A function of one's own, a simulated model, plain completions: nothing is asked, and the remedy is told."""
    with pytest.raises(TaskError, match=r"takes none.*Union of pydantic models"):
        maker.vote_sync("What?", model=model, tools=TOOLS)


def served(calls: Any, finish: str = "tool_calls", text: Any = None) -> Reply:
    """Return a reply of a server with calls in it."""
    return Reply(text=text, finish=finish, message={"tool_calls": calls})


WRITTEN = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"item": "nuts"}'}}
FORMS = {
    "text": served([WRITTEN]),
    "object": served([{"function": {"name": "look_up", "arguments": {"item": "nuts"}}}]),
    "with words": served([WRITTEN], text="I look."),
    "finish stop": served([WRITTEN], "stop"),
    "thought": served([WRITTEN], text="<think>Nuts?</think>"),
    "older": Reply(text=None, finish="function_call", message={"function_call": WRITTEN["function"]}),
    "streamed": Reply(headers={"Content-Type": "text/event-stream"}, body=(
        b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"look_up","arguments":"{\\"i"}}]}}]}\n'
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"tem\\": \\"nuts\\"}"}}]}}]}\n'
        b'data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n')),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_calls_of_a_server(form):
    """In all forms that servers have, a call is read and voted on; the request has the schemas and no logprobs."""
    with FaultServer(lambda _: FORMS[form]) as server:
        verdict = maker.vote_sync("What next?", model=server.spec("m"), tools=TOOLS, tool_choice="auto")
        body = server.requests[0].body
    assert (verdict.calls[0].arguments, verdict.samples, verdict.flagged) == ({"item": "nuts", "depth": 1.0}, 3, 0)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["look_up", "order"]
    assert body["tool_choice"] == "auto" and "logprobs" not in body


def test_parallel_calls_of_a_server():
    """Several calls in one reply are one answer, in their order."""
    two = [WRITTEN, {"function": {"name": "order", "arguments": '{"item": "nuts", "count": 3}'}}]
    with FaultServer(lambda _: served(two)) as server:
        verdict = maker.vote_sync("What next?", model=server.spec("m"), tools=TOOLS)
    assert [call.name for call in verdict.calls] == ["look_up", "order"]


def test_cut_off_calls_have_no_vote():
    """A reply that met the token limit in the midst of its arguments is flagged as cut off."""
    replies = [
        served([{"function": {"name": "look_up", "arguments": '{"item": "nu'}}], "length"),
        *[served([WRITTEN])] * 3,
    ]
    with FaultServer(lambda received: replies[min(received.number, 3)]) as server:
        verdict = maker.vote_sync("What next?", model=server.spec("m"), tools=TOOLS)
    assert dict(verdict.flags) == {"truncated": 1}


@pytest.mark.parametrize("refusal", [
    error(400, "registry/m does not support tools"), error(400, "unknown field"),
    error(500, "tools param requires --jinja flag"),
])  # fmt: skip
def test_a_server_that_takes_no_tools_is_refused(refusal):
    """It is found out by asking without them, in few calls, and the remedy is told; other votes go on."""
    with FaultServer(lambda received: refusal if "tools" in received.body else "42") as server:
        model = maker.load_model(server.spec("m"))
        with pytest.raises(ModelError, match=r"takes no tools for m.*Union of pydantic models"):
            maker.vote_sync("What next?", model=model, tools=TOOLS)
        assert len(server.requests) <= 14
        assert maker.vote_sync("6 x 7?", model=model).answer == "42"


def test_a_map_of_calls_is_resumed_and_verified(tmp_path):
    """Its journal has the tools among its parameters alone; the same call asks nothing, other tools are refused."""
    model = ScriptedModel([calling(("nope", {})), calling(NUTS)], lockstep=False)
    settings: dict[str, Any] = {"model": model, "journal": tmp_path / "map.db"}
    first = list(maker.map_sync("{item}", ["a", "b"], tools=TOOLS, **settings))
    asked = len(model.requests)
    again = maker.map_sync("{item}", ["a", "b"], tools=TOOLS, **settings)
    assert [one.calls for one in first] == [one.calls for one in again] and len(model.requests) == asked
    assert first[0].calls[0].name == "look_up" and again.result.flags == {"bad-call": 6}
    audit = maker.verify(tmp_path / "map.db")
    assert (audit.problem, audit.solved, set(audit.summary.header["parameters"])) == (
        None, True, {"prompts", "tools", "unvoted"},
    )  # fmt: skip
    with pytest.raises(JournalError, match="parameters"):
        maker.map_sync("{item}", ["a", "b"], tools=[look_up], **settings)


def test_a_reliable_function_gives_turns():
    """Annotated to return a Turn it is offered the tools; one without the other is refused."""
    model = ScriptedModel([calling(NUTS)])

    @maker.reliable(model=model, tools=TOOLS, tool_choice="required")
    def decide(seen: str) -> maker.Turn:
        """Do what is next, after {seen}."""

    assert decide("nothing").calls == decide.verdict("nothing").calls
    assert model.requests[0].prompt == "Do what is next, after nothing."

    def text(seen: str) -> str:
        """Say what is next, after {seen}."""

    def turn(seen: str) -> maker.Turn:
        """Say what is next, after {seen}."""

    for tools, function in ((TOOLS, text), (None, turn)):
        with pytest.raises(TaskError, match="go together"):
            maker.reliable(model=model, tools=tools)(function)


def test_several_servers_are_offered_tools():
    """A model that two servers answer for takes tools as one does."""
    with FaultServer(lambda _: served([WRITTEN])) as one, FaultServer(lambda _: served([WRITTEN])) as two:
        spec = f"{one.spec('m').partition('#')[0]},{two.spec('m')}"
        assert maker.vote_sync("What next?", model=spec, tools=TOOLS).calls[0].name == "look_up"
