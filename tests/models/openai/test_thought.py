"""Thought and answer are told apart, and an answer that speaks of thoughts stays whole."""

from __future__ import annotations

import pytest

from maker.decision.sample import Sample
from maker.models.openai.thought import Said, apart, parted, said_in


@pytest.mark.parametrize(
    ("text", "answer", "thought"),
    [
        ("42", "42", None), ("", "", None), ("<think>\n6*7\n</think>\n\n42", "42", "6*7"),
        ("<think></think>42", "42", None), ("6*7... </think>\n42", "42", "6*7..."),
        ("<thinking>a</thinking>b", "b", "a"), ("<Thought>a</Thought>b", "b", "a"), ("[THINK]a[/THINK]b", "b", "a"),
        ("the tag <think> opens a thought", "the tag <think> opens a thought", None),
        ("write <think>x</think> around it", "write <think>x</think> around it", None),
        ("<think>a</think>say </think> last", "last", "a</think>say"),
        ("<think>a <think>b</think> c</think>42", "42", "a <think>b</think> c"),
        ("`</think>` is the closing tag", "`</think>` is the closing tag", None),
        ("a < b </p>", "a < b </p>", None), ("</think>42", "42", None),
        ("<|channel|>analysis<|message|>6*7<|end|><|start|>x<|channel|>final<|message|>42<|return|>", "42", "6*7"),
        ("<|channel|>final<|message|>42", "42", None),
        ("◁think▷6*7◁/think▷42", "42", "6*7"), ("<seed:think>6*7</seed:think>42", "42", "6*7"),
        ("<|START_THINKING|>6*7<|END_THINKING|><|START_RESPONSE|>42<|END_RESPONSE|>", "42", "6*7"),
        ("<|begin_of_thought|>6*7<|end_of_thought|>\n<|begin_of_solution|>42", "42", "6*7"),
        ("<think>6*7</think>\n<answer>42</answer>\n", "42", "6*7"),
        ("<think>6*7</think>\n<response>42</response>", "42", "6*7"),
        ("<answer>42</answer>", "<answer>42</answer>", None), ("analysis6*7 is.assistantfinal42", "42", "6*7 is."),
        ("analysis of assistants", "analysis of assistants", None),
        ("42<|im_end|>\n", "42", None), ("42</s>", "42", None), ("<think>a</think>42<|eot_id|>", "42", "a"),
        ("say <s>no</s>", "say <s>no</s>", None), ("<|im_end|> ends a turn", "<|im_end|> ends a turn", None),
    ],
)  # fmt: skip
def test_a_thought_at_the_start_is_taken_off(text, answer, thought):
    """Tags count at the start, closing ones alone too; in the middle of an answer they are its own words."""
    assert parted(text) == Said(answer, thought)


@pytest.mark.parametrize(
    ("text", "thought"),
    [("<think>6*7", "6*7"), ("[THINK]", None), ("<|channel|>analysis<|message|>6*7", "6*7")],
)  # fmt: skip
def test_a_thought_that_does_not_end_has_no_answer(text, thought):
    """Nothing after it can be an answer."""
    assert parted(text) == Said(None, thought, unclosed=True)


@pytest.mark.parametrize(
    "message",
    [
        {"content": "42", "reasoning_content": "6*7"}, {"content": "42", "reasoning": "6*7"},
        {"content": [{"type": "thinking", "thinking": "6*7"}, {"type": "text", "text": "42"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "6*7"}]}, {"text": "42"}]},
        {"content": [{"type": "reasoning", "text": "6*7"}, "42"]}, {"content": "<think>6*7</think>42"},
    ],
)  # fmt: skip
def test_thoughts_are_found_wherever_servers_put_them(message):
    """In fields of the message, in parts of the content, in the text."""
    assert said_in(message) == Said("42", "6*7")


def test_a_message_without_an_answer():
    """A thought alone is no answer, and nothing at all is none either."""
    assert said_in({"content": None, "reasoning": "6*7"}) == Said(None, "6*7")
    assert said_in({"content": 3}) == Said(None)


@pytest.mark.parametrize(
    ("tokens", "told", "thought"), [(600, None, 598), (2, None, None), (None, None, None), (600, 40, 40)]
)
def test_what_an_answer_cannot_have_taken_is_thought(tokens, told, thought):
    """A token has a byte at least; what the server tells stands."""
    assert apart(Sample("42", tokens_out=tokens, tokens_reasoning=told)).tokens_reasoning == thought
