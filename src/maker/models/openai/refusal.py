"""An error reply -> what it means for the request, the endpoint and the run. Pure: no IO, no clock.

The table is in `reply.py`. A server's own words are repeated for a person, on one line, cut to a
decent length, without the key, without what could steer a terminal, and not where they repeat the prompt.

Not covered: replies with status 200 and no error in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maker.decision.sample import Failure
from maker.models.openai.request import OPTIONAL
from maker.models.openai.retry_after import retry_after

WAIT = frozenset({408, 409, 425, 429})  # of the 4xx: try again
REFUSED = frozenset({429, 503, 529})  # the whole endpoint wants a pause
_GAVE_UP = frozenset({504, 524})  # a gateway did; the model behind it may have answered all the same
LONGEST_WORDS = 200  # characters of a server's own words in a message
_LONGEST_MESSAGE = 10_000  # characters of an error's message that are looked at
_ABOUT_REQUEST = frozenset({400, 413, 422})
# Codes and types only: ordinary rate limits speak of billing pages, too, in their messages.
_QUOTA = re.compile(r"insufficient_(quota|credits|balance)|billing_(hard_limit_reached|not_active)", re.I)
_NO_MODEL = re.compile(r"model[_ ]not[_ ]found|model .{0,120}(does not exist|not found|not exist)", re.I | re.S)
_UNFIT = re.compile(
    r"unsupported|not support|unrecogni|unknown|unexpected|not permitted|not allowed|not available|"
    r"extra (inputs|fields)|invalid (field|parameter|argument|schema)|use '?max_completion",
    re.I,
)
_TOO_LONG = re.compile(r"context|too (long|large|many)|exceed|maximum", re.I)
ADDRESS = "it is that of an OpenAI-compatible API and often ends in /v1"


@dataclass(slots=True)
class Asked:
    """What a reply answers. where: the origin, for messages. key: never repeated. choices: how many replies."""

    where: str
    model: str
    prompt: str = field(default="", repr=False)
    key: str | None = field(default=None, repr=False)
    choices: int = 1


@dataclass(slots=True, frozen=True)
class Trouble:
    """Why there is no sample. status: as the server meant it, 0 where there was none.

    optional: an optional field it complains of. alien: it does not look like this API at all, which is fatal
    when it lasts from the first use on. own: it may be the request's own fault, if it lasts while others
    succeed. slow: the deadline passed.
    """

    failure: Failure
    status: int = 0
    optional: str | None = None
    alien: bool = False
    own: bool = False
    slow: bool = False


def fatal(status: int, detail: str) -> Trouble:
    """Return the trouble that no request can get past."""
    return Trouble(Failure("fatal", detail), status)


def bill_unknown(detail: str, wait: float | None = None) -> Failure:
    """Return the failure of a request that may have been answered where nobody saw it: at most, it was all billed."""
    return Failure("transient", detail, wait, None, None)


def refusal(status: int, headers: Mapping[str, str], error: Any, asked: Asked) -> Trouble:
    """Return what an error status, or an error object in a good reply, means."""
    code = _label(error, "code")
    if status < 300:  # the error object may name another
        status = int(code) if re.fullmatch(r"[45]\d\d", code) else 0
    words = words_of(error, asked)
    told = f"{asked.where} answered " + (str(status) if status else "with an error") + (f": {words}" if words else "")
    labels = f"{code} {_label(error, 'type')}"
    evidence = f"{labels} {_message(error)}"
    hopeless = _hopeless(status, labels, evidence, asked)
    if hopeless is not None:
        return fatal(status, f"{told}. {hopeless}")
    if status not in _ABOUT_REQUEST:
        wait = retry_after(headers, error=error)
        failure = bill_unknown(told, wait) if status in _GAVE_UP else Failure("transient", told, wait)
        return Trouble(failure, status, own=status not in REFUSED)
    optional = _optional_field(_label(error, "param"), evidence, asked.choices)
    return Trouble(Failure("poison" if optional is None else "transient", told), status, optional)


def _hopeless(status: int, labels: str, evidence: str, asked: Asked) -> str | None:
    """Return what to do about a refusal that no repetition helps, or None for any other."""
    if status == 402 or (status < 500 and _QUOTA.search(labels)):
        return "The account's quota is used up: add credit or take another key, then resume"
    if status in (401, 403):
        state = "The key was refused" if asked.key else "No key was sent"
        return f"{state}: set OPENAI_API_KEY (openai:...) or MAKER_API_KEY (http...) to one that may use this model"
    if status == 404 or (status in _ABOUT_REQUEST and _NO_MODEL.search(evidence)):
        return f"Check the model's name ({asked.model}) and the address: {ADDRESS}"
    if 0 < status < 500 and status not in WAIT | _ABOUT_REQUEST:
        return f"Check the address: {ADDRESS}"
    return None


def _optional_field(param: str, evidence: str, choices: int) -> str | None:
    """Return the optional field that a complaint is about: refused as such, not for its value here."""
    named = [name for name, pattern in OPTIONAL.items() if pattern.search(param) or pattern.search(evidence)]
    if "n" in named and choices > 1:
        return "n"
    if _TOO_LONG.search(evidence) and "max_completion_tokens" not in evidence:
        named = [name for name in named if name != "max_tokens"]  # the prompt is too long: another name would not help
    return next((name for name in named if name != "n"), None) if _UNFIT.search(evidence) else None


def _label(error: Any, name: str) -> str:
    label = error.get(name) if isinstance(error, dict) else None
    return str(label)[:100] if type(label) in (str, int) else ""


def clean(text: str, asked: Asked) -> str:
    """Return a server's words on one line, without the key and without what could steer a terminal."""
    if asked.key:
        text = text.replace(asked.key, "***")
    if len(text) <= LONGEST_WORDS and text.isprintable() and text.isascii() and " " not in text:
        return text
    text = text[: 4 * LONGEST_WORDS].encode("utf-8", "replace").decode()
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()[:LONGEST_WORDS]


def words_of(error: Any, asked: Asked) -> str:
    """Return the message of an error for a person; not where it repeats the prompt, which is not for logs."""
    message = _message(error)
    if any(len(line) >= 8 and line[:40] in message for line in map(str.strip, asked.prompt.splitlines())):
        return "(its words repeat the prompt)"
    return clean(message, asked)


def _message(error: Any) -> str:
    """Return the message of an error in whichever form it has: text, an object, or a list of complaints."""
    for _ in range(2):
        if isinstance(error, dict):
            error = next((error[key] for key in ("message", "detail", "error") if error.get(key)), "")
    if isinstance(error, list):
        error = "; ".join(str(item.get("msg") or "") for item in error[:3] if isinstance(item, dict))
    return error[:_LONGEST_MESSAGE] if isinstance(error, str) else ""
