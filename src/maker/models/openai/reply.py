"""One HTTP reply -> samples, or what went wrong. Pure: no IO, no clock.

| reply                                                     | becomes                                        |
|-----------------------------------------------------------|------------------------------------------------|
| 200 with choices                                          | a Sample for each                              |
| - content null; a list of parts                           | text None; the text parts, joined              |
| - a thought, wherever it is                               | apart from the text (`thought.py`)             |
| - calls, where tools were offered                         | in the text, as `task/tools.py` writes them    |
| - a stream of events                                      | the reply that it makes (`stream.py`)          |
| - a `refusal`, finish reason content_filter               | Sample with finish reason "content_filter"     |
| - the body names another model                            | a Sample that says so                          |
| - an id that says too little to tell replies apart        | a Sample without an id                         |
| 200 with an `error` object                                | as the status it names, or transient; tokens   |
|                                                           | as reported, as for every 200                  |
| 200 without choices, a choice without message             | transient                                      |
| HTML instead of JSON                                      | transient; fatal before anything good came     |
| JSON that was cut off, or no JSON                         | transient                                      |
| 3xx                                                       | fatal, naming the host it points to            |
| 400, 413, 422 that complain of an optional field          | transient, with `optional`: ask without it     |
| 400, 413, 422 otherwise (too long, against a policy)      | poison, if a probe shows that others succeed   |
| 402; quota used up (any status); 401, 403; 404; other 4xx | fatal, with what to do                         |
| 408, 409, 425, 429, 5xx                                   | transient, with the wait that was asked for    |
| - 504, 524: a gateway gave up, the model may go on        | the same, counted as billed at the most        |

Odd figures (negative, fractional, text) in the usage count as not given, and so do logprobs that are none.
Unknown fields are ignored, doubled ones count as the last.

Not covered: the error statuses in detail (`refusal.py`), whether a poisonous request is really
the request's fault (`client.py` probes), and what the text means.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from maker.decision.sample import Failure, Reply, Sample
from maker.models.openai.calls import ENDS, calls_in
from maker.models.openai.parse import crowded, parse
from maker.models.openai.refusal import (
    ADDRESS,
    WAIT,
    Asked,
    Trouble,
    bill_unknown,
    clean,
    fatal,
    plain_words,
    refusal,
    words_of,
)
from maker.models.openai.stream import is_stream, joined
from maker.models.openai.thought import Said, bytes_in, parted, said_in, text_of
from maker.task.tools import reply_text

MOST_TOKENS = 2**31 - 1
_LONGEST_NAME = 200  # characters of an id, a model or a finish reason that are kept
_SPEAKS = WAIT | {400, 401, 402, 403, 404, 405, 413, 415, 422}  # the status says it all, whatever the body is
_DEAREST = 1e4  # dollars that one reply may cost
_LEAST_BITS = 40.0  # of what an id can say: with less, honest replies share one now and then
_FEWEST, _MANY = 7, 13  # characters that say so much: of digits and letters of both kinds; of digits alone
_ALL_THAT_MOST_TELL = {"prompt_tokens", "completion_tokens", "total_tokens"}  # of their usage
_BETWEEN = {"-", "_"}  # the parts of an id
_ANY_BUT_WORDS = re.compile(r"[0-9]|[a-z][A-Z]")
_PREFIX = re.compile(r"[A-Za-z]+[-_]")  # of an id: the same in all
_DIGIT, _SMALL, _CAPITAL = re.compile(r"[0-9]").search, re.compile(r"[a-z]").search, re.compile(r"[A-Z]").search


def read_reply(
    status: int, headers: Mapping[str, str], body: bytes, asked: Asked, latency: float
) -> list[Reply] | Trouble:
    """Return a sample (or failure) for each draw asked for, or what went wrong. Never raises."""
    if 300 <= status < 400:
        host = clean(_host(headers), asked)
        return fatal(status, f"{asked.where} redirects to {host}; redirects are not followed, because key and prompts "
                     "belong to the address given. Give the address it points to, if you trust it")  # fmt: skip
    good = 200 <= status < 300
    tokens, stream = asked.choices * asked.tokens, is_stream(body, headers.get("Content-Type", ""))
    many = not stream and crowded(body, tokens)
    reply = joined(body, tokens) if stream else None if many else parse(body)
    if isinstance(reply, list) and not good:  # Gemini wraps its errors into a list
        reply = {"error": reply[0].get("error", reply[0]) if len(reply) == 1 and isinstance(reply[0], dict) else reply}
    if isinstance(reply, dict):
        error = reply.get("error")
        if good and not error:
            return _good(reply, asked, latency)
        trouble = refusal(status, headers, error or reply, asked)
        if good and (usage := _usage(reply)):  # it was paid for, whatever came of it
            tokens_in, tokens_out = _tokens(usage)
            trouble = replace(trouble, failure=replace(trouble.failure, tokens_in=tokens_in, tokens_out=tokens_out))
        return trouble
    page = body.lstrip()[:1] == b"<" or "html" in headers.get("Content-Type", "")
    if status in _SPEAKS or status >= 500 or not (good or page):
        return refusal(status, headers, plain_words(body, page=page), asked, page=page)
    if page:
        detail = f"{asked.where} answered {status} with an HTML page where JSON was expected"
        return Trouble(bill_unknown(f"{detail}. Check the address: {ADDRESS}"), status, alien=True, own=True, page=True)
    cut = not body.strip() or body.lstrip()[:1] == b"{"
    what = "has more values than its tokens can" if many else "was cut off" if cut else "is no JSON object"
    detail = f"{asked.where} sent a reply that {what}"
    return Trouble(bill_unknown(detail), status, alien=True, own=True)


# -- good replies ------------------------------------------------------------------------------------


def _good(reply: dict[str, Any], asked: Asked, latency: float) -> list[Reply] | Trouble:
    declared = _name(reply.get("model"), asked)
    usage = _usage(reply)
    tokens_in, tokens_out = _tokens(usage)
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices:
        detail = f"{asked.where} sent a reply without choices"
        return Trouble(Failure("transient", detail, None, tokens_in, tokens_out), 200, alien=True, own=True)
    samples = [_sample(choice, asked) for choice in choices[: asked.choices]]
    mark, identity = _name(reply.get("system_fingerprint"), asked), _name(reply.get("id"), asked)
    if identity is not None and not telling(identity):
        identity = None
    told_more = not usage.keys() <= _ALL_THAT_MOST_TELL
    cached, cost = (_cached(usage), _cost(usage)) if told_more else (None, None)
    latency = round(latency, 6)
    for sample in samples:
        sample.tokens_in, sample.tokens_out = tokens_in, tokens_out
        if isinstance(sample, Sample):
            sample.response_id, sample.model, sample.fingerprint = identity, declared, mark
            sample.cached, sample.latency, sample.cost = cached, latency, cost
    if asked.choices > 1:
        _share_out(samples, choices, asked)
    elif isinstance(samples[0], Failure):
        return Trouble(samples[0], 200, own=True)
    details = _details(usage) if told_more else None
    for sample in samples:
        if isinstance(sample, Sample) and (details or sample.reasoning):
            sample.tokens_reasoning = _thought_in(details, sample, len(choices))
    return samples


def _details(usage: dict[str, Any]) -> Any:
    """Return what a server says of the tokens written, None for nothing."""
    told = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    return usage if not told and "reasoning_tokens" in usage else told


def _share_out(samples: list[Reply], choices: list[Any], asked: Asked) -> None:
    """Split among several choices what their reply says of all of them; those that are missing have failed."""
    shares = _shares(samples[0].tokens_out, choices[: asked.choices])
    for number, (sample, share) in enumerate(zip(samples, shares, strict=True)):
        sample.tokens_out = share
        if number and sample.tokens_in is not None:
            sample.tokens_in = 0
        if isinstance(sample, Sample):
            if number and sample.cached is not None:
                sample.cached = 0
            if sample.cost is not None:
                sample.cost /= len(samples)
            if sample.response_id is not None:  # they share an id, and are no copies of each other
                sample.response_id += f"#{number}"
    missing = asked.choices - len(samples)
    samples += [Failure("transient", f"{asked.where} sent {len(samples)} of {asked.choices} choices")] * missing


def _usage(reply: dict[str, Any]) -> dict[str, Any]:
    usage = reply.get("usage")
    return usage if isinstance(usage, dict) else {}


def _tokens(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the tokens read and written, under either of the names that servers have for them."""
    if "completion_tokens" in usage or "prompt_tokens" in usage:  # nearly always
        return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))


def _sample(choice: Any, asked: Asked) -> Reply:
    """Return the sample of one choice, its usage not yet filled in."""
    if not isinstance(choice, dict):
        return Failure("transient", f"{asked.where} sent a choice that is none")
    finish = _name(choice.get("finish_reason"), asked)
    calls: list[dict[str, Any]] = []
    message = choice.get("message")
    if choice.get("error") or finish == "error":
        reason = words_of(choice.get("error"), asked) or "no reason given"
        return Failure("transient", f"{asked.where} broke off: {reason}")
    if isinstance(message, dict):
        said = said_in(message)
        if message.get("refusal"):
            finish = "content_filter"
        elif asked.tools:
            calls = calls_in(message)
            finish = "stop" if calls and finish in ENDS else finish
        elif not (said.text or "").strip() and (message.get("tool_calls") or message.get("function_call")):
            finish = "tool_calls"
    elif "text" in choice:
        text = text_of(choice["text"])
        said = Said(None) if text is None else parted(text)
    elif finish is not None:
        said = Said(None)
    else:
        return Failure("transient", f"{asked.where} sent a choice without a message")
    if said.unclosed and finish != "content_filter":
        finish = "length"
    text, thought = said.text, said.thought
    if calls or (asked.tools and (text or "").strip()):
        text = reply_text(calls, text)
    if asked.secrets:
        text, thought = (asked.scrubbed(told) if told else told for told in (text, thought))
    return Sample(text, None, None, finish, None, _logprob(choice.get("logprobs")), reasoning=thought)


def _thought_in(details: Any, sample: Sample, choices: int) -> int | None:
    """Return how many of a sample's tokens are thought: as the server says of all, else by its share of the text.

    details: what the server says of them, if it does. A thought may be told in a few words only: an answer has no more
    tokens than bytes.
    """
    told = _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None
    tokens_out = sample.tokens_out
    if tokens_out is None:
        return None
    if told is not None:
        return min(told // choices, tokens_out) or None
    thought, answer = len(sample.reasoning or ""), len(sample.text or "")
    if not thought:
        return None
    return max(tokens_out * thought // (thought + answer), tokens_out - bytes_in(sample.text))


def telling(identity: str) -> bool:
    """Say whether ids like this one tell replies apart: what stands after a fixed prefix is long or varied enough.

    Numbers of three digits, which some servers draw, or one id for all, would make copies of honest replies.
    """
    prefix = _PREFIX.match(identity)
    rest = identity[prefix.end() :] if prefix else identity
    if len(rest) < _FEWEST:
        return False
    if len(set(rest) - _BETWEEN) < 2 or not _ANY_BUT_WORDS.search(rest):  # zeros, or words: the same in all replies
        return False
    if len(rest) >= _MANY and rest.isalnum() and _DIGIT(rest):  # nearly always
        return True
    letters = (10 if _DIGIT(rest) else 0) + (26 if _SMALL(rest) else 0) + (26 if _CAPITAL(rest) else 0)
    said = len(rest) if rest.isalnum() else sum(map(str.isalnum, rest))
    return letters > 0 and said * math.log2(letters) >= _LEAST_BITS


def _logprob(logprobs: Any) -> float | None:
    """Return the sum over all tokens, or None where one of them has no proper figure."""
    if not isinstance(logprobs, dict):
        return None
    tokens = logprobs.get("content")
    values = (
        [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
        if isinstance(tokens, list) else logprobs.get("token_logprobs")
    )  # fmt: skip
    if not isinstance(values, list) or not values:
        return None
    if not all(type(value) in (int, float) and -1e6 < value <= 1e-3 for value in values):
        return None  # NaN fails both comparisons
    return math.fsum(values)


def _count(figure: Any) -> int | None:
    """Return a token count, or None for what cannot be one."""
    return figure if type(figure) is int and 0 <= figure <= MOST_TOKENS else None


def _cached(usage: dict[str, Any]) -> int | None:
    """Return how many input tokens came from the server's cache, in any of the three ways to say it."""
    details = usage.get("prompt_tokens_details")
    told = details.get("cached_tokens") if isinstance(details, dict) else usage.get("cached_tokens")
    if told is None:
        told = usage.get("prompt_cache_hit_tokens")
    return None if told is None else _count(told)


def _cost(usage: dict[str, Any]) -> float | None:
    """Return the dollars that a router says it charged; None for what cannot be a charge."""
    cost = usage.get("cost")
    if isinstance(cost, dict):  # of its parts, and in all
        cost = cost.get("total_cost")
    if cost is None or not isinstance(cost, int | float) or isinstance(cost, bool):
        return None
    return float(cost) if 0 <= cost <= _DEAREST else None  # NaN fails both comparisons


def _shares(tokens: int | None, choices: list[Any]) -> list[int | None]:
    """Split the tokens of a reply among its choices so that the sum stays the server's.

    Unless their logprobs are more than that: llama.cpp counts the tokens of one choice only.
    """
    count = len(choices)
    if tokens is None or count == 1:
        return [tokens] * count
    lengths = [_length(choice) for choice in choices]
    if sum(lengths) > tokens:
        return list(lengths)
    each, rest = divmod(tokens, count)
    return [each + (number < rest) for number in range(count)]


def _length(choice: Any) -> int:
    """Return how many tokens of a choice have logprobs, 0 where there are none."""
    logprobs = choice.get("logprobs") if isinstance(choice, dict) else None
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    return len(tokens) if isinstance(tokens, list) else 0


# -- foreign words ------------------------------------------------------------------------------------


def _name(value: Any, asked: Asked) -> str | None:
    """Return a short name as the journal may hold it; one that is too long becomes its digest."""
    if not isinstance(value, str) or not value:
        return None
    if value in ("stop", asked.model):  # nearly always
        return value
    if len(value) > _LONGEST_NAME:
        return "blake2b:" + hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return clean(value, asked) or None


def _host(headers: Mapping[str, str]) -> str:
    try:
        return urlsplit(headers.get("Location", "")).hostname or "another path of its own"
    except ValueError:
        return "an address that cannot be read"
