"""What a server takes, found by asking with less; and whose fault a refusal is, the settings' or the request's.

Each probe sends what is taken with odds nearest to one half, so that its answer says most: first what is left without
the likeliest culprits, and when that is refused the bare request (the messages, and the token limit in either of its
names or not at all): what that meets, too, is the server's own. The odds (`_REFUSED`, and the fields that the complaint
names) order the probes and decide nothing. What follows from the answers before is not asked. A schema that is refused
is lowered. It takes 3 probes where one of temperature, seed and logprobs is refused without a word, and at most 5 where
one of these, `stop` or a schema is; where several are, more, at worst 13.

What was found is kept for as long as the process lives, by address and model (`FOUND`).

A complaint that names one field is believed, without a probe: when it was wrong, the search follows.

Not covered: sending (`client.py`), and refusals that say nothing of the request (`refusal.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from weakref import ReferenceType

from maker.decision.sample import Failure, Reply, Request, Sample, desk
from maker.log import log
from maker.models.openai.health import Prober, probe
from maker.models.openai.refusal import Trouble
from maker.models.openai.request import FORMS, OPTIONAL, SYSTEM, Dialect, fields_of, has_system
from maker.models.takes import told

FOUND: dict[tuple[str, str], Dialect] = {}  # by URL and name of the model
PLAIN = Dialect()
_MOST_PROMPTS = 10_000  # that are known to have been answered
Send = Callable[[Request, Dialect], Awaitable[list[Reply] | Trouble]]
Attempt = Callable[[Dialect], Awaitable[Trouble | None]]
_NOT_THE_LIMIT = frozenset({401, 403, 404, 405})  # another name of the token limit would not help
_MAYBE_THE_NAME = frozenset({400, 404, 422})
_MAYBE_THE_REQUEST = frozenset({500, 501})  # some servers fall over a field that they do not know
# How likely each field is what a refusal in no words is about; guesses, which order the attempts and decide nothing.
_REFUSED = {"logprobs": 0.2, "schema": 0.15, "temperature": 0.15, "seed": 0.1}
_SELDOM, _NAMED = 0.05, 0.5  # other fields; those that the complaint names
_NONE, _OWN = 0.1, 0.2  # of none of them: how much less likely than it looks; that the bare request is refused, too


class _Most(NamedTuple):
    """The most that a server takes: fields, and from which of `FORMS` on a schema. Also what a probe sends."""

    fields: frozenset[str]
    form: int

    def takes(self, sent: _Most) -> bool:
        """Say whether a server that takes this takes what is sent."""
        return sent.fields <= self.fields and sent.form >= self.form


async def search(
    dialect: Dialect, fields: Sequence[str], named: Sequence[str], attempt: Attempt, *, status: int = 400
) -> Dialect | Trouble:
    """Return the dialect that the server takes, or the trouble that the bare request meets, too.

    dialect: the one that was refused, with that status. fields: the optional ones it sends. named: those that the
    complaint names. attempt: sends a short request in a dialect and returns what ails it.
    """
    base, bare = dialect.bare(fields), _Most(frozenset(), len(FORMS) - 1)
    odds = whole = _odds(fields, named, FORMS.index(dialect.form))
    everything = next(iter(odds))
    doubt = _OWN  # that even the bare request is refused
    taken: list[_Most] = []
    while len(odds) > (not doubt):
        sent = bare if doubt and (len(odds) < len(whole) or status in _NOT_THE_LIMIT) else _evenest(odds, doubt)
        ill = await attempt(_sending(base, sent))
        if ill is None:
            odds, doubt = {most: odd for most, odd in odds.items() if most.takes(sent)}, 0.0
            taken.append(sent)
        elif not (ill.about or (_tells(ill) and status in _MAYBE_THE_REQUEST)):
            return ill  # a server that refuses in words and now fails is overloaded
        elif sent != bare:
            odds = {most: odd for most, odd in odds.items() if not most.takes(sent)}
        else:
            renamed = await _renamed(base, ill, attempt)
            if isinstance(renamed, Trouble):
                return renamed
            base, odds, doubt = renamed, whole, 0.0
            taken.append(bare)
            if everything == bare or await attempt(_sending(base, everything)) is None:  # it was the name alone
                return _sending(base, everything)
            del odds[everything]
    (found,) = odds
    ill = None if found in taken else await attempt(_sending(base, found))
    if ill is None or not _tells(ill):
        return ill or _sending(base, found)
    return _sending(base, max(taken, key=lambda most: (len(most.fields), -most.form)))  # what goes singly, not together


def _odds(fields: Sequence[str], named: Sequence[str], form: int) -> dict[_Most, float]:
    """Return whatever a server may take of some fields, all first, with its odds. form: of the schema so far."""
    found = {_Most(frozenset(), form if "schema" in fields else len(FORMS) - 1): 1.0}
    for field in fields:
        refused = _NAMED if field in named else _REFUSED.get(field, _SELDOM)
        if field != "schema":
            found = {
                most._replace(fields=most.fields | kept): odd * share for most, odd in found.items()
                for kept, share in (({field}, 1 - refused), (frozenset(), refused))
            }  # fmt: skip
            continue
        lower = range(form + 1, len(FORMS))
        shares = {form: 1 - refused} | dict.fromkeys(lower, refused / len(lower))
        found = {most._replace(form=at): odd * share for most, odd in found.items() for at, share in shares.items()}
    found[next(iter(found))] *= _NONE  # of all: something was refused
    return found


def _evenest(odds: Mapping[_Most, float], doubt: float) -> _Most:
    """Return what to send next: of what is taken with odds nearest to one half, an answer says most."""
    total = sum(odds.values()) / (1 - doubt)

    def uneven(sent: _Most) -> float:
        return abs(sum(odd for most, odd in odds.items() if most.takes(sent)) / total - 0.5)

    telling = [sent for sent in odds if doubt or not all(most.takes(sent) for most in odds)]
    return min(telling, key=uneven)


def _sending(base: Dialect, sent: _Most) -> Dialect:
    """Return a bare dialect with these fields."""
    schema = ["schema"] if sent.form < len(FORMS) - 1 else []
    return base.taking([*sent.fields, *schema], FORMS[sent.form])


async def _renamed(bare: Dialect, ill: Trouble, attempt: Attempt) -> Dialect | Trouble:
    """Return the bare dialect with the token limit under another name, that is taken, or the refusal."""
    if ill.about and ill.status not in _NOT_THE_LIMIT:
        for name in ("max_tokens", "max_completion_tokens", None):
            if name != bare.tokens_name and await attempt(replace(bare, tokens_name=name)) is None:
                return replace(bare, tokens_name=name)
    return ill


def _tells(ill: Trouble) -> bool:
    """Say whether a trouble tells something of what is taken."""
    return ill.about or ill.status in _MAYBE_THE_REQUEST


class Negotiator:
    """What one model takes, as far as it is known, and what follows from a refusal.

    key: its URL and name, under which it is kept. name: of the model, for messages and the journal. send: the
    model's method that sends a request in a dialect; meant: the one that says which models the server has instead
    of this one. Both are held weakly: who drops the model closes its connections.
    `calls` counts probes.
    """

    def __init__(
        self, key: tuple[str, str], name: str, clock: Callable[[], float],
        send: ReferenceType[Send], meant: ReferenceType[Callable[[], Awaitable[str]]],
    ) -> None:  # fmt: skip
        self._key, self._name, self._send, self._meant = key, name, send, meant
        self.dialect = FOUND.get(key, PLAIN)
        self.calls = 0
        self._health: Prober[Trouble | None] = Prober(clock)
        self._search: Prober[Dialect | Trouble] = Prober(clock)
        self._well: set[tuple[float | None, bool, bool, bool]] = set()  # settings that were taken
        self._answered: set[int] = set()  # prompts, as hashes
        self._doubted: set[int] = set()  # prompts that were refused without a reason that is theirs

    def recall(self) -> None:
        """Take what an earlier part of the run has found, unless something is known."""
        payer = desk.get()
        note = payer.recall(self._name) if payer is not None and self.dialect is PLAIN else None
        if note is not None:
            self.dialect = FOUND[self._key] = of_note(note)

    def knows(self, request: Request) -> bool:
        """Say whether a request with the same settings was answered in this process."""
        return _settings(request) in self._well

    def took(self, request: Request, dialect: Dialect) -> None:
        """Note that a request was answered."""
        self._well.add(_settings(request))
        if len(self._answered) >= _MOST_PROMPTS:
            self._answered.clear()
        self._answered.add(hash(request.prompt))
        if dialect is PLAIN:
            return
        if FOUND.get(self._key) != dialect:
            FOUND[self._key] = dialect
            log.warning("model.takes", said=told(self._key[1], as_note(dialect)))
        payer = desk.get()
        if payer is not None:
            payer.found(self._name, as_note(dialect))

    def thinks(self, dialect: Dialect) -> None:
        """Give replies room for thoughts from now on."""
        if self.dialect == dialect:
            self.dialect = replace(dialect, thinks=True)

    async def refused(self, request: Request, trouble: Trouble, dialect: Dialect, choices: int) -> Reply:
        """Return what a refusal of a request that was sent in a dialect comes to."""
        if trouble.finish is not None:
            return Sample(None, trouble.failure.tokens_in or None, trouble.failure.tokens_out or None, trouble.finish)
        if dialect != self.dialect:  # another request has found out meanwhile
            return replace(trouble.failure, kind="again")
        less = self._guess(request, trouble, dialect, choices)
        if less is not None:
            return self._switch(trouble, dialect, less)
        return await self._find_out(request, trouble, dialect)

    async def _find_out(self, request: Request, trouble: Trouble, dialect: Dialect) -> Reply:
        """Return what a refusal comes to that names no field: after a probe, or a search."""
        if trouble.page and self._well:
            return replace(trouble.failure, kind="transient")
        if _settings(request) in self._well:
            ill = await self._ill(request, dialect)
            if ill is None:
                return self._own_fault(request, trouble)
            if not _tells(ill):
                return replace(trouble.failure, kind="transient", retry_after=ill.failure.retry_after)
        fields = fields_of(request, dialect)
        found = await self._search.ask(request, lambda short: self._look(short, dialect, fields, trouble))
        if isinstance(found, Trouble):
            return self._refused_bare(trouble, found)
        if self.dialect == dialect == found:
            return self._own_fault(request, trouble)
        return self._switch(trouble, dialect, found)

    async def _look(
        self, short: Request, dialect: Dialect, fields: Sequence[str], trouble: Trouble
    ) -> Dialect | Trouble:
        """Search; what meets the bare request, too, may be the model's name: the server knows which it has."""
        attempt = partial(self._attempt, short)
        found = await search(dialect, fields, trouble.named, attempt, status=trouble.status)
        meant = self._meant()
        if isinstance(found, Trouble) and found.status in _MAYBE_THE_NAME and meant is not None:
            return replace(found, remedy=await meant() or found.remedy)
        return found

    async def blame(self, request: Request, trouble: Trouble) -> Failure:
        """Return whose fault a trouble is that has met one request again and again: poison, or the endpoint's."""
        ill = await self._ill(request, self.dialect)
        if ill is None:
            return replace(trouble.failure, kind="poison")
        return self._refused_bare(trouble, ill)

    def _guess(self, request: Request, trouble: Trouble, dialect: Dialect, choices: int) -> Dialect | None:
        """Return the dialect without the one field that a complaint names, None where it names none or several."""
        sent = {*fields_of(request, dialect), dialect.tokens_name, *(["n"] if choices > 1 else [])}
        sent |= {SYSTEM} if SYSTEM not in dialect.refused and has_system(request) else set()
        named = [name for name in trouble.named if name in sent]
        if len(named) != 1 or named == ["tools"]:  # nothing stands in for tools: that they are refused has to be seen
            return dialect.without("n") if choices > 1 and trouble.about and not trouble.page else None
        return dialect.without(named[0])

    def _switch(self, trouble: Trouble, dialect: Dialect, less: Dialect) -> Failure:
        """Use a dialect from now on, unless another request has found one meanwhile."""
        if self.dialect == dialect:
            self.dialect = less
            self._search.forget()
            log.debug("model.without", model=self._name, takes=told(self._key[1], as_note(less)))
        return replace(trouble.failure, kind="again")

    async def _ill(self, request: Request, dialect: Dialect) -> Trouble | None:
        """Return what ails a short request with the same settings."""
        return await self._health.ask(request, lambda short: self._attempt(short, dialect))

    async def _attempt(self, short: Request, dialect: Dialect) -> Trouble | None:
        self.calls += 1
        send = self._send()
        assert send is not None, "a model lives as long as its draws"
        return await probe(short, lambda request: send(request, dialect))

    def _refused_bare(self, trouble: Trouble, ill: Trouble) -> Failure:
        """Return the failure of a request whose short form met a trouble, too."""
        if ill.failure.kind == "transient":
            if not _tells(ill):
                self._search.forget()  # it was no answer
            kind = "transient" if trouble.about else trouble.failure.kind
            return replace(trouble.failure, kind=kind, retry_after=ill.failure.retry_after)
        detail = f"{ill.failure.detail}. {ill.remedy}" if ill.remedy else ill.failure.detail
        return Failure("fatal", detail)

    def _own_fault(self, request: Request, trouble: Trouble) -> Reply:
        """Return what a refusal is that a short request with the same settings does not meet."""
        prompt = hash(request.prompt)
        if trouble.page or not trouble.about:
            return replace(trouble.failure, kind="transient")
        if trouble.sure:
            return trouble.failure
        if prompt in self._answered:  # the bad luck of one sample; what it cost nobody says
            return Sample(None, finish_reason="refused")
        if prompt not in self._doubted:  # others of the same prompt may be on their way
            self._doubted.add(prompt)
            return replace(trouble.failure, kind="again")
        return trouble.failure


def _settings(request: Request) -> tuple[float | None, bool, bool, bool]:
    """Return what the acceptance of a request depends on, its prompt apart."""
    return request.temperature, bool(request.stop), request.schema is not None, request.tools is not None


# -- as the journal keeps it ------------------------------------------------------------------------


def as_note(dialect: Dialect) -> dict[str, Any]:
    """Return a dialect as the journal keeps it."""
    note = {"tokens_name": dialect.tokens_name, "refused": sorted(dialect.refused), "form": dialect.form}
    return note | {"thinks": True} if dialect.thinks else note


def of_note(note: Mapping[str, Any]) -> Dialect:
    """Return the dialect that a journal has; what this version does not know in it is left out."""
    refused = note.get("refused")
    known = frozenset(name for name in refused if name in OPTIONAL) if isinstance(refused, list) else frozenset()
    name, form = note.get("tokens_name"), note.get("form")
    return Dialect(
        name if name in ("max_tokens", "max_completion_tokens", None) else "max_tokens",
        known,
        form if form in FORMS else FORMS[0],
        note.get("thinks") is True,
    )
