"""The GGUF export: a real llama.cpp server reads the same tokens and writes the same greedy text."""

import json
import urllib.request

import pytest

from maker.models.neural.bundled import build
from maker.models.neural.sampler import Job
from small_model import FIRST, prompts_of

pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")


def post(address, route, **body):
    """Send JSON, return JSON."""
    request = urllib.request.Request(address + route, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def prompts(each):
    """Return `each` prompts, as tokens, for every number of disks from 3 to 20."""
    for disks in range(3, 21):
        yield from (FIRST.encode(prompt) for prompt, _ in prompts_of(disks, each + 6, disks)[:each])


def greedy(sampler, tokens):
    """Return our own greedy text."""
    texts, _ = sampler.answer([Job(tokens, 0.0, [0], [64])])[0]
    return texts[0].text


def test_both_runtimes_write_the_same_greedy_text_on_200_prompts(llama):
    """For 216 prompts of 3 to 20 disks the server's completion equals ours, character by character."""
    sampler = build()
    asked = list(prompts(12))
    assert len(asked) >= 200
    for tokens in asked:
        reply = post(llama, "/v1/completions", prompt=FIRST.decode(tokens), temperature=0, max_tokens=64)
        assert reply["choices"][0]["text"] == greedy(sampler, tokens)
        assert reply["usage"]["prompt_tokens"] == len(tokens)


def test_the_server_cuts_text_into_our_tokens(llama):
    """The server's tokens of prompts and of written answers are ours: nothing before, nothing merged."""
    for tokens in prompts(3):
        reply = post(llama, "/tokenize", content=FIRST.decode(tokens), add_special=True)
        assert reply["tokens"] == tokens


def test_the_chat_route_sees_the_bare_prompt(llama):
    """A single user message is read exactly like the prompt, and the end token ends the reply."""
    sampler = build()
    for tokens in list(prompts(1))[::6]:
        message = {"role": "user", "content": FIRST.decode(tokens)}
        reply = post(llama, "/v1/chat/completions", messages=[message], temperature=0, max_tokens=64)
        assert reply["choices"][0]["message"]["content"] == greedy(sampler, tokens)
        assert reply["choices"][0]["finish_reason"] == "stop"
