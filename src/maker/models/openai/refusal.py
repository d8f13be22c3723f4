"""An error reply -> what it means for the request, the endpoint and the run. Pure: no IO, no clock.

The table is in `reply.py`. A server's own words are repeated for a person, on one line, cut to a
decent length, without the key, without what could steer a terminal, and not where they repeat the prompt.

Not covered: replies with status 200 and no error in them.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maker.decision.sample import Failure
from maker.models.openai.request import OPTIONAL
from maker.models.retry_after import retry_after
from maker.task.prompt import words_in

WAIT = frozenset({408, 409, 425, 429, 498})  # of the 4xx (498: no capacity at this moment): try again
REFUSED = frozenset({429, 503, 529})  # the whole endpoint wants a pause
_GONE = frozenset({502, 503, 521, 522, 523})  # nobody is there to answer, if every request meets it
_GAVE_UP = frozenset({502, 504, 524})  # a gateway did; the model behind it may have answered all the same
LONGEST_WORDS = 300  # characters of a server's own words in a message
_LONGEST_MESSAGE = 10_000  # characters of an error's message that are looked at
_ABOUT_REQUEST = frozenset({400, 403, 404, 405, 413, 415, 422})
_SETTINGS = frozenset({400, 422})  # a field that is named may be what is wrong
# Of codes and types; of messages only what is clear: ordinary rate limits speak of quotas and billing pages, too.
_QUOTA = re.compile(r"insufficient_(quota|credits|balance)|billing_(hard_limit_reached|not_active)", re.I)
_SPENT = re.compile(
    r"credit balance is too low|insufficient (balance|credits|funds)|out of credits|key limit exceeded", re.I
)
_NO_MODEL = re.compile(
    r"model[_ ]not[_ ]found|model .{0,120}(does not exist|not found|not exist)|not a valid model", re.I | re.S
)
_LOADING = re.compile(r"no models? (is |are )?(currently )?loaded|\bloading\b|not (yet )?loaded|still starting", re.I)
# What became of one reply, not of its request: the finish reason that it would have had.
_ONE_REPLY = {
    "json_validate_failed": re.compile(r"json_validate_failed|failed to (generate|validate) (valid )?json", re.I),
    "length": re.compile(r"output limit (was|is|has been) reached|could not finish the message", re.I),
}
_FILTER = re.compile(r"content_(filter|policy)|responsible_?ai", re.I)
_SURE = re.compile(r"polic(y|ies)|content_filter|moderation|context|too (long|large)", re.I)
# Where errors have their words, the most telling first.
_TELLING = (
    "message", "faultstring", "detail", "error", "msg", "errors", "error_description", "description", "reason", "title",
    "fault", "text",
)  # fmt: skip
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.I | re.S)
_TOO_LONG = re.compile(r"context|too (long|large|many)|exceed|maximum", re.I)
ADDRESS = "it is that of an OpenAI-compatible API and often ends in /v1"


@dataclass(slots=True)
class Asked:
    """What a reply answers. where: the origin, for messages. secrets: never repeated. choices: how many replies.

    tokens: the most that one of them may have. tools: some were offered.
    """

    where: str
    model: str
    prompt: str = field(default="", repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)
    choices: int = 1
    tokens: int = 1024
    tools: bool = False

    def scrubbed(self, text: str) -> str:
        """Return a text without the secrets that the request was sent with."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


@dataclass(slots=True, frozen=True)
class Trouble:
    """Why there is no sample. status: as the server meant it, 500 for an error that names none, 0 where none came.

    about: the request may be what is wrong; its failure's kind is then "poison"; sure: it
    says why, of a kind that no repetition changes. named: the optional fields that the
    complaint names. remedy: what to do where every request meets it. page: it came as a page for people. loading:
    the model is on its way. finish: it became of one reply only, which would have had this finish reason. alien: it
    does not look like this API at all, which is fatal when it lasts from the first use on. own: it may be the
    request's own fault, if it lasts while others succeed. slow: the deadline passed.
    """

    failure: Failure
    status: int = 0
    about: bool = False
    sure: bool = False
    named: tuple[str, ...] = ()
    remedy: str = ""
    page: bool = False
    loading: bool = False
    finish: str | None = None
    alien: bool = False
    own: bool = False
    slow: bool = False


def fatal(status: int, detail: str) -> Trouble:
    """Return the trouble that no request can get past."""
    return Trouble(Failure("fatal", detail), status)


def bill_unknown(detail: str, wait: float | None = None) -> Failure:
    """Return the failure of a request that may have been answered where nobody saw it: at most, it was all billed."""
    return Failure("transient", detail, wait, None, None)


def refusal(status: int, headers: Mapping[str, str], error: Any, asked: Asked, *, page: bool = False) -> Trouble:
    """Return what an error status, or an error object in a good reply, means."""
    code = _label(error, "code")
    if status < 300:  # the error object may name another
        status = int(code) if re.fullmatch(r"[45]\d\d", code) else 0
    words = words_of(error, asked).rstrip(" .。")
    told = f"{asked.where} answered " + (str(status) if status else "with an error") + (f": {words}" if words else "")
    labels = f"{code} {_label(error, 'type')}"
    evidence = f"{labels} {_message(error)}"
    if status == 402 or (status < 500 and (_QUOTA.search(labels) or _SPENT.search(evidence))):
        return fatal(status, f"{told}. The account's quota is used up: add credit or take another key, then resume")
    if status in (404, 503) and _LOADING.search(evidence):
        return Trouble(
            Failure("transient", f"{told}. It is loading", retry_after(headers, error=error)), status, loading=True
        )
    if status in _ABOUT_REQUEST:
        return _about_request(status, told, f"{_label(error, 'param')} {evidence}", asked, page)
    if 0 < status < 500 and status not in WAIT:
        return fatal(status, f"{told}. {_remedy(status, evidence, asked)}")
    wait = retry_after(headers, error=error)
    failure = bill_unknown(told, wait) if status in _GAVE_UP else Failure("transient", told, wait)
    failure.gone = status in _GONE
    return Trouble(failure, status or 500, own=status not in REFUSED, page=page)


def _about_request(status: int, told: str, evidence: str, asked: Asked, page: bool) -> Trouble:
    """Return the trouble of a request that the server calls wrong."""
    finish = next((reason for reason, pattern in _ONE_REPLY.items() if pattern.search(evidence)), None)
    if finish is None and _FILTER.search(evidence) and not re.search("prompt|input", evidence, re.I):
        finish = "content_filter"
    named = _named(evidence, asked.choices) if status in _SETTINGS or status == 403 else ()
    return Trouble(
        Failure("poison", told), status, about=True, sure=status == 413 or _SURE.search(evidence) is not None,
        named=named, page=page, finish=finish if status in _SETTINGS else None,
        remedy=_remedy(status, evidence, asked),
    )  # fmt: skip


def _remedy(status: int, evidence: str, asked: Asked) -> str:
    """Return what to do about a refusal that every request meets."""
    if status in (401, 403):
        state = "The key was refused" if asked.secrets else "No key was sent"
        names = "OPENAI_API_KEY (openai:...), MAKER_API_KEY (http...) or the provider's own"
        return f"{state}: set {names} to one that may use this model"
    if status == 404 or _NO_MODEL.search(evidence):
        return f"Check the model's name ({asked.model}) and the address: {ADDRESS}"
    if status in _SETTINGS or status == 413:
        return "The shortest request meets it, too: change the settings or the model"
    return f"Check the address: {ADDRESS}"


def _named(evidence: str, choices: int) -> tuple[str, ...]:
    """Return the optional fields that a complaint names: refused as such, not for their value here."""
    named = [name for name, pattern in OPTIONAL.items() if pattern.search(evidence)]
    if "n" in named and choices > 1:
        return ("n",)
    if _TOO_LONG.search(evidence) and "max_completion_tokens" not in evidence:
        named = [name for name in named if name != "max_tokens"]  # the prompt is too long: another name would not help
    return tuple(name for name in named if name != "n")


def _label(error: Any, name: str) -> str:
    label = error.get(name) if isinstance(error, dict) else None
    return str(label)[:100] if type(label) in (str, int) else ""


def clean(text: str, asked: Asked) -> str:
    """Return a server's words on one line, without the key and without what could steer a terminal."""
    if asked.secrets:
        text = asked.scrubbed(text)
    if len(text) <= LONGEST_WORDS and text.isprintable() and text.isascii() and " " not in text:
        return text
    text = text[: 4 * LONGEST_WORDS].encode("utf-8", "replace").decode()
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()[:LONGEST_WORDS]


def words_of(error: Any, asked: Asked) -> str:
    """Return the message of an error for a person; not where it repeats the prompt, which is not for logs."""
    message = _message(error)
    if any(len(line) >= 8 and line[:40] in message for line in map(str.strip, words_in(asked.prompt).splitlines())):
        return "(its words repeat the prompt)"
    return clean(message, asked)


def _message(error: Any) -> str:
    """Return the message of an error in whichever form it has: text, an object, a list, or one of these in a text."""
    for _ in range(6):
        if isinstance(error, str) and error.lstrip()[:1] in ("{", "["):
            try:
                error = json.loads(error[:_LONGEST_MESSAGE])
            except (ValueError, RecursionError):
                break
        elif isinstance(error, dict):
            error = _telling(error)
        elif isinstance(error, list):
            told = map(_complaint, error[:3])
            error = "; ".join(filter(None, told))
    return error[:_LONGEST_MESSAGE] if isinstance(error, str) else ""


def _telling(error: dict[str, Any]) -> Any:
    """Return what tells most of an object: under a name that errors have, in any case, else its longest text."""
    named = {str(name).lower(): value for name, value in reversed(error.items()) if value}
    for name in _TELLING:
        if isinstance(named.get(name), str | dict | list):
            return named[name]
    return max((value for value in named.values() if isinstance(value, str)), key=len, default="")


def _complaint(item: Any) -> str:
    """Return one of a list of complaints, with the field that it is about."""
    if not isinstance(item, dict):
        return item if isinstance(item, str) else ""
    at = item.get("loc") or item.get("field") or item.get("param")
    field = ".".join(map(str, at)) if isinstance(at, list) else at if isinstance(at, str) else ""
    told = _telling(item)
    return (f"{field}: " if field else "") + (told if isinstance(told, str) else "")


def plain_words(body: bytes, *, page: bool) -> str:
    """Return what a body that is no JSON says to a person: the title of a page, or the text itself."""
    text = body[:_LONGEST_MESSAGE].decode("utf-8", "replace")
    if not page:
        return text
    if text.lstrip().startswith("<?xml"):
        return re.sub(r"<[^>]{0,1000}>", " ", text)
    title = _TITLE.search(text)
    return html.unescape(title[1]) if title else "an HTML page"
