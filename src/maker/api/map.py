"""maker.map: one question about each of many items, every answer voted on, journaled and resumable.

Each item is one voted step of a run (`engine/loop.py` does the work), named by its position. The same call on
an existing journal goes on where it ends, and is refused if any item's prompt has changed; more items may follow
those there were (up to 16,384 in all; items without a verdict are then asked from the start). Items do not
depend on each other: each is a segment of its own (of more than 16,384 items, neighbours share one),
and as many go side by side as the limits allow.

Not covered: items that are not at hand at the start, and prompts that change from call to call.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, Generic, Required, Self, TypeVar, Unpack, overload

from maker.api.answers import Reader
from maker.api.opened import Asking, check_names
from maker.api.run import run
from maker.api.sync import twin
from maker.api.tools.reader import reader_for
from maker.api.verdicts import Verdicts
from maker.api.vote import Offered, Prompt, ToolChoice, check_k, places
from maker.decision.config import validated
from maker.decision.sample import AnyModel
from maker.engine.result import Progress
from maker.errors import TaskError
from maker.models import in_batches
from maker.sending.budget.limits import Limits, make_limits
from maker.task.canonical import canonical, digest
from maker.task.plan import Plan
from maker.task.prompt import Messages, View, filled, fingerprint_of_all, prompt_of, render, views, wordings
from maker.task.tools import Turn

T = TypeVar("T")
Item = TypeVar("Item")
Asker = Callable[[Item], Prompt] | Prompt
Rewording = Callable[[Item], Sequence[Prompt]] | Sequence[Prompt] | None

MOST_SEGMENTS = 16_384  # a segment takes about 250 bytes


class MapAsking(Asking, total=False):
    """How to map: as `Asking`, whose answers, and where to keep it; what each means is told at `map`."""

    model: Required[AnyModel]
    k: int
    key: Callable[[Any], Any] | None
    tool_choice: ToolChoice
    paraphrases: Rewording[Any]
    journal: str | Path | None
    concurrency: int | None
    accept_change: Sequence[str]
    progress: Callable[[Progress], None] | None
    batch: bool


@overload
async def map(
    prompt: Asker[Item], items: Sequence[Item], *, tools: Sequence[Offered], **asking: Unpack[MapAsking]
) -> Verdicts[Turn]: ...
@overload
async def map(
    prompt: Asker[Item], items: Sequence[Item], *, parse: None = ..., answer: None = ..., **asking: Unpack[MapAsking]
) -> Verdicts[str]: ...
@overload
async def map(
    prompt: Asker[Item], items: Sequence[Item], *, parse: Callable[[str], T], answer: None = ...,
    **asking: Unpack[MapAsking],
) -> Verdicts[T]: ...  # fmt: skip
@overload
async def map(
    prompt: Asker[Item], items: Sequence[Item], *, parse: None = ..., answer: type[T], **asking: Unpack[MapAsking]
) -> Verdicts[T]: ...
@overload
async def map(
    prompt: Asker[Item], items: Sequence[Item], *, parse: None = ..., answer: Any, **asking: Unpack[MapAsking]
) -> Verdicts[Any]: ...
async def map(
    prompt: Asker[Item],
    items: Sequence[Item],
    *,
    model: AnyModel,
    k: int = 3,
    parse: Callable[[str], Any] | None = None,
    answer: Any = None,
    key: Callable[[Any], Any] | None = None,
    tools: Sequence[Offered] | None = None,
    tool_choice: ToolChoice = None,
    journal: str | Path | None = None,
    concurrency: int | None = None,
    paraphrases: Rewording[Item] = None,
    accept_change: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    batch: bool = False,
    **asking: Unpack[Asking],
) -> Verdicts[Any]:
    """Ask a model about each item, until one answer to each is k votes ahead of every other.

    prompt: item -> prompt, or a template with {item} in it (also {item.name}, {item[name]}), of text or messages; a
    callable is asked once for every item at the start, and again when an item is due. items: any sequence that is the
    same when the call is repeated. paraphrases: further wordings, asked in turn with the prompt: item -> list of
    prompts, or a list of templates. concurrency: of the limits; draws in flight at once. journal,
    accept_change and progress: as in `run`; the others as in `vote`. batch: each wave of all items goes to the server
    as one batch (OpenAI's Batch API), which takes up to a day and counts half the prices; stopped, it goes on
    there, and the same call reads it.

    Returns Verdicts, each with what its item took (`usage`, `cost`); what ended it early is in its `stopped`, items
    that stay without a verdict are in its `failed`; neither is raised. Raises TaskError, ModelError, JournalError. On
    failure or cancellation the journal keeps all that was acknowledged; the same call resumes it.
    """
    check_k("map", k)
    reader = reader_for("map", parse, answer, key, tools, tool_choice)
    if "workers" in asking:
        raise TaskError("map: workers: they make a task again from its name, and the prompts and readers of a map have "
                        "none. Leave them out: one process keeps a server busy")  # fmt: skip
    check_names(map, asking)
    bounds = make_limits(asking.get("limits"))
    if concurrency is not None:
        bounds = validated(Limits, {**bounds.model_dump(), "concurrency": concurrency})
    asking["limits"] = bounds
    task = Items.of(prompt, items, reader, paraphrases)
    result = await run(
        task, model=in_batches(model) if batch else model, k=k, journal=journal,
        segments=min(len(items), MOST_SEGMENTS) or 1,
        paraphrases=paraphrases is not None, accept_change=accept_change, progress=progress, **asking,
    )  # fmt: skip
    return Verdicts(result, items, reader)


map_sync = twin(map)


class Items(Generic[Item]):
    """The task whose step i asks about item i, and whose state is the position.

    ask: item -> prompt; reword: item -> further prompts, None for none. A digest of all prompts is in the
    parameters, and so in the run's fingerprint.
    Raises TaskError when a prompt cannot be made; the step it names is the item's position.
    """

    name = "map"
    of_all_steps = ("prompts", "paraphrases")  # the parameters that another number of items changes
    # In the header of every journal of a map, and kept, so that those are gone on with after an edit of this file.
    # To be changed when items are asked about, or their answers carried out, in another way.
    __code_digest__ = "0e8d9a8a236de7a98ce2ad7c25db92e2"

    def __init__(
        self, ask: Callable[[Item], Prompt], items: Sequence[Item], reader: Reader[Any],
        reword: Callable[[Item], Sequence[Prompt]] | None = None,
    ) -> None:  # fmt: skip
        self.steps = len(items) or None  # of no items: none are due, and the run is done before its first step
        self.schema, self.tools = reader.schema, reader.tools
        self._ask, self._items, self._reader = ask, items, reader
        if reword is not None:  # an attribute only then: that a task has other wordings is seen by its having this one
            self._reword = reword
            self.paraphrases = self._views
        self.parameters = {**self._fingerprints(len(items)), **reader.described}

    @classmethod
    def of(cls, prompt: Asker[Item], items: Sequence[Item], reader: Reader[Any], paraphrases: Rewording[Item]) -> Self:
        """Return the task of a map, its arguments as the user gives them. Raises TaskError for what does not fit."""
        return cls(_asker(prompt), _sequence(items), reader, None if paraphrases is None else _rewording(paraphrases))

    def _fingerprints(self, count: int) -> dict[str, str]:
        """Return what tells the first items from others: digests of their prompts, and of those in other words."""
        found = {"prompts": fingerprint_of_all(render(self, at, at) for at in range(count))}
        if hasattr(self, "paraphrases"):
            told = [[view.prompt for view in views(self, at, at)] for at in range(count)]
            found["paraphrases"] = digest(canonical(told)).hex()
        return found

    def begins_with(self, parameters: Mapping[str, Any], count: int) -> bool:
        """Say whether a map with these parameters asked about the first `count` of these items."""
        told = {name: parameters[name] for name in self.of_all_steps if name in parameters}
        return told == self._fingerprints(count)

    def plan(self, segments: int = MOST_SEGMENTS) -> Plan:
        """Return one segment an item, as far as there may be so many: any item can be asked about at once."""
        if self.steps is None:
            return Plan.sequential(None, self.initial_state)
        return Plan.chain(self.steps, int, segments, independent=True)

    def initial_state(self) -> int:
        """Return the first position."""
        return 0

    def prompt(self, state: int, step: int) -> Prompt:
        """Return the question about one item."""
        return self._ask(self._items[step]) if self.steps else "There are no items."

    def _views(self, state: int, step: int) -> list[View]:
        """Return the question about one item in all its wordings."""
        own = self.prompt(state, step)
        return wordings([own, *self._reword(self._items[step])] if self.steps else [own], "a paraphrase is")

    def parse(self, text: str) -> Any:
        """Read a reply as the user told."""
        return self._reader.parse(text)

    def legal(self, state: int, action: Any) -> bool:
        """Say yes: an answer is right or wrong, never against a rule."""
        return True

    def apply(self, state: int, action: Any) -> int:
        """Return the next position."""
        return state + 1

    def done(self, state: int) -> bool:
        """Say whether all items are decided."""
        return state == len(self._items)

    def answer(self, state: int) -> int:
        """Return the number of items; the answers are in the verdicts."""
        return state


def truth_of(answers: Sequence[Any], count: int, reader: Reader[Any]) -> Callable[[Any, int], Any]:
    """Return the `truth` of a map: what the vote counts for the right answer. Raises TaskError for what is none."""
    if isinstance(answers, (str, bytes)) or not isinstance(answers, Sequence) or len(answers) != count:
        said = f"{len(answers)} are given" if isinstance(answers, Sized) else f"{answers!r:.80} is given"
        raise TaskError(f"estimate_map: answers: give a list of the right answers, one an item: {count}. {said}")
    right = []
    for at, answer in enumerate(answers):
        try:
            right.append(reader.given(answer))
            canonical(right[-1])
        except (ValueError, TypeError) as error:
            raise TaskError(
                f"estimate_map: answers[{at}] = {answer!r:.80} is none that a reply could give: {error}"
            ) from None
    return lambda _, step: right[step]


def _asker(prompt: Asker[Any]) -> Callable[[Any], Prompt]:
    """Return item -> prompt."""
    if isinstance(prompt, (str, list, tuple)):
        template = prompt_of(prompt, "map: the prompt is")
        found = places("map: prompt", template.texts if isinstance(template, Messages) else [template])
        if found != {"item"}:
            raise TaskError(f"map: prompt = {prompt!r:.80}: a template has {{item}} where the item goes, and no other "
                            "place. Write {{ and }} for braces, as around a sample of JSON.")  # fmt: skip
        return lambda item: typing.cast("Prompt", filled(template, {"item": item}))
    if hasattr(prompt, "verdict"):
        raise TaskError("map: a reliable function asks the model itself: give its .prompt, and answer= beside it")
    if not callable(prompt) or inspect.iscoroutinefunction(prompt):
        raise TaskError(f"map: prompt = {prompt!r}: give a template with {{item}}, or a plain function item -> prompt")
    return prompt


def _rewording(paraphrases: Rewording[Any]) -> Callable[[Any], Sequence[Prompt]]:
    """Return item -> its further prompts."""
    if isinstance(paraphrases, (list, tuple)):
        askers = [_asker(template) for template in paraphrases]
        return lambda item: [ask(item) for ask in askers]
    if not callable(paraphrases):
        raise TaskError(
            f"map: paraphrases = {paraphrases!r:.80}: give a list of templates, or a function item -> prompts"
        )
    return paraphrases


def _sequence(items: Sequence[Item]) -> Sequence[Item]:
    """Return the items, if they are some that can be read again."""
    if isinstance(items, (str, bytes, Mapping)) or not (hasattr(items, "__len__") and hasattr(items, "__getitem__")):
        raise TaskError(f"map: items must be a sequence, such as a list, not a {type(items).__name__}: a resumed run "
                        "has to find the same items at the same positions")  # fmt: skip
    return items
