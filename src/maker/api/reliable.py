"""maker.reliable: a function whose answers are voted on, written as its own question.

The docstring, filled in with the arguments, is the prompt; the return annotation is the answer type
(read as told in `answers.py`). The body is never run: write `...`. Works for `def` and `async def`, also
for methods; a call takes the function's own arguments and returns the answer.

    @maker.reliable(model="openai:gpt-4.1-mini", k=3)
    async def sentiment(review: str) -> Literal["positive", "negative"]:
        '''Is this review positive or negative? {review} Answer with one word.'''

The decorated function also has `verdict(...)`, which returns the whole Verdict for the same arguments, and
`prompt(...)`, which returns the prompt and asks nothing: `maker.map(f.prompt, items, ...)`.

Every argument has its place in the docstring, or it is refused: a model that never sees the question
answers all the same, and unanimously.

Not covered: a journal; see `maker.map`.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from maker.api.opened import check_names
from maker.api.sync import twin
from maker.api.tools.reader import reader_for
from maker.api.vote import BRACES, Offered, Settings, ToolChoice, check_k, places, vote
from maker.decision.race import Verdict
from maker.decision.sample import AnyModel
from maker.errors import TaskError
from maker.task.prompt import Messages, filled, prompt_of
from maker.task.tools import Turn

P = ParamSpec("P")
T = TypeVar("T")
Answer_co = TypeVar("Answer_co", covariant=True)
Judged_co = TypeVar("Judged_co", covariant=True)


class Reliable(Protocol[P, Answer_co, Judged_co]):
    """A decorated function: what a call of it gives, and what `verdict` gives; of an `async def` both are awaited."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Answer_co:
        """Return the answer. Raises as `vote` does."""

    def verdict(self, *args: P.args, **kwargs: P.kwargs) -> Judged_co:
        """Return the whole verdict. Raises as `vote` does."""

    def prompt(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the prompt. Raises TaskError when an argument does not fit its place."""


class Decorator(Protocol):
    """What `reliable` returns."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine is also a result: the narrower comes first
        self, function: Callable[P, Coroutine[Any, Any, T]]
    ) -> Reliable[P, Coroutine[Any, Any, T], Coroutine[Any, Any, Verdict[T]]]: ...
    @overload
    def __call__(self, function: Callable[P, T]) -> Reliable[P, T, Verdict[T]]: ...
    def __call__(self, function: Callable[..., Any]) -> Any:
        """Return the function that asks. Raises TaskError for one that is no question."""


def reliable(
    *, model: AnyModel, key: Callable[[Any], Any] | None = None, tools: Sequence[Offered] | None = None,
    tool_choice: ToolChoice = None, **settings: Unpack[Settings],
) -> Decorator:  # fmt: skip
    """Return a decorator that turns a function's docstring into a question voted on at each call.

    model, key, and settings such as k, system, max_tokens: as in `vote`, but that paraphrases are templates, as the
    docstring is one. tools, tool_choice: as in `vote`, of a function annotated to return maker.Turn.

    The decorator raises TaskError for a class, a lambda, a generator, or what is no function; for one without
    docstring or return annotation; and where places in the docstring and arguments do not match.
    """
    check_names(reliable, settings, ("k", "paraphrases"))
    check_k("reliable", settings.get("k", 3))
    further = [prompt_of(text, "reliable: a paraphrase is") for text in settings.pop("paraphrases", None) or ()]

    def decorate(function: Callable[..., Any]) -> Any:
        where = _check_kind(function)
        template = _template(where, function)
        for other in further:
            _check_places(where, "a paraphrase", other, function)
        answer = _answer(where, function)
        if (answer is Turn) != (tools is not None):
            raise TaskError(f"{where}: tools= and the annotation -> maker.Turn go together: one of them is missing")
        answer = None if answer is Turn else answer
        reader_for(where, None, answer, key, tools, tool_choice)  # refuses a type that no answer can have
        asked: Any = functools.partial(
            vote, model=model, answer=answer, key=key, tools=tools, tool_choice=tool_choice, **settings
        )
        signature = inspect.signature(function)

        def asked_in(templates: list[str], *args: Any, **kwargs: Any) -> list[Any]:
            arguments = signature.bind(*args, **kwargs)
            arguments.apply_defaults()
            try:
                return [filled(text, arguments.arguments) for text in templates]
            except Exception as error:
                raise TaskError(
                    f"{where}: the docstring cannot be filled in: {type(error).__name__}: {error}"
                ) from error

        def prompt(*args: Any, **kwargs: Any) -> str:
            (own,) = asked_in([template], *args, **kwargs)
            return str(own)

        async def verdict(*args: Any, **kwargs: Any) -> Verdict[Any]:
            """Return the verdict on the question that these arguments make."""
            own, *others = asked_in([template, *further], *args, **kwargs)
            found: Verdict[Any] = await asked(own, paraphrases=others)
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            """Return the answer alone."""
            return (await verdict(*args, **kwargs)).answer

        waits = inspect.iscoroutinefunction(function)
        made: Any = functools.wraps(function)(call if waits else twin(call))
        made.verdict, made.prompt = verdict if waits else twin(verdict), prompt
        return made

    return decorate


def _check_kind(function: object) -> str:
    """Return how to call the function in a message. Raises TaskError for one that is no `def`."""
    name = getattr(function, "__qualname__", repr(function))
    kind = None
    if inspect.isclass(function):
        kind = "a class"
    elif not inspect.isfunction(function):
        kind = f"a {type(function).__name__}"
    elif function.__name__ == "<lambda>":
        kind = "a lambda"
    elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        kind = "a generator"
    if kind is not None:
        raise TaskError(f"reliable: {name} is {kind}; decorate a function made with def or async def")
    return f"reliable: {name}"


def _template(where: str, function: Callable[..., Any]) -> str:
    """Return the docstring, which has a place for every argument and no other."""
    template = inspect.cleandoc(function.__doc__ or "")
    if not template:
        raise TaskError(f"{where} has no docstring: write the question there, with {{argument}} where one goes")
    _check_places(where, "the docstring", template, function)
    return template


def _check_places(where: str, what: str, template: str, function: Callable[..., Any]) -> None:
    """Raise TaskError unless a template has a place for every argument and no other."""
    names = list(inspect.signature(function).parameters)
    found = places(where, template.texts if isinstance(template, Messages) else [template])
    if strange := sorted(found - set(names)):
        raise TaskError(f"{where}: {{{strange[0]}}} in {what} is no argument, there are: "
                        f"{', '.join(names) or 'none'}. {BRACES}")  # fmt: skip
    unseen = [name for name in names if name not in found and name not in ("self", "cls")]
    if unseen:
        raise TaskError(f"{where}: the model would never see the argument {unseen[0]}: put {{{unseen[0]}}} in {what}")


def _answer(where: str, function: Callable[..., Any]) -> Any:
    """Return what the function is annotated to return."""
    annotations = {name: kind for name, kind in function.__annotations__.items() if name == "return"}
    if not annotations:
        raise TaskError(f"{where} has no return annotation: it says what an answer is, for example -> int")
    try:
        kind = typing.get_type_hints(
            types.SimpleNamespace(__annotations__=annotations), function.__globals__, include_extras=True
        )["return"]
    except Exception as error:
        raise TaskError(f"{where}: its return annotation cannot be resolved: {error}. Define its types in the module, "
                        "above the function.") from error  # fmt: skip
    if kind is type(None):
        raise TaskError(f"{where} is annotated to return None, which is no answer")
    return kind
