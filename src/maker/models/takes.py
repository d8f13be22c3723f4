"""What a server was found to take, said for a person. Pure.

It is kept as a note (`tokens_name`, `refused`, `form`), which a journal, or whoever wrote it, may hold in another
form: what is no such thing is left out.

Not covered: finding it out (`openai/negotiate.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ENFORCED = {"loose": "not strictly", "object": "as far as that it is some object", "words": "not at all"}


def refused_in(takes: Mapping[str, Any]) -> list[str]:
    """Return the fields that a note says are refused."""
    refused = takes.get("refused")
    return [name for name in refused if isinstance(name, str)] if isinstance(refused, list) else []


def told(model: str, takes: Mapping[str, Any]) -> str:
    """Return on one line what a model takes, such as "gpt takes no logprobs"."""
    refused = refused_in(takes)
    name = takes.get("tokens_name", "max_tokens")
    less = [*refused, "token limit"] if name is None else refused
    parts = ["takes " + ", ".join(f"no {field}" for field in less)] if less else []
    if name not in ("max_tokens", None):
        parts.append(f"calls the token limit {name}")
    if takes.get("thinks") is True:
        parts.append("thinks before it answers (its token limit is higher for that)")
    if (enforced := _ENFORCED.get(str(takes.get("form")))) is not None:
        parts.append(f"enforces a schema {enforced}")
    own = ": drawn at the server's own temperature" if "temperature" in refused else ""
    return f"{model} {' and '.join(parts) or 'takes all fields'}{own}"


def served_as(model: str, said: str | None) -> str | None:
    """Return the name that a server says it used, where it is another than the one it was asked by; else None.

    model: its name in a run's settings: an address or a provider before the name. What a model of the user's own
    is called says nothing of the name that it asks by.
    """
    asked = model.partition("#")[2] if "#" in model else model.partition(":")[2]
    asked = asked.partition("+extra:")[0]  # what fields of the user's own add to it
    return said if said and asked and said != asked else None


def of_servers(
    model: str, takes: Mapping[str, Mapping[str, Any]], served: Mapping[str, str], sources: Mapping[str, int]
) -> dict[str, str]:
    """Return for a person what a run's servers take, which other names they answer under, and what each gave.

    model: the run's own; takes: notes, by model; served: names that servers said they used, by model ("": the own);
    sources: samples by server, where there are several. Nothing stands in it for one server that takes all and answers
    under the name it is asked by.
    """
    others = (served_as(asked or model, said) for asked, said in served.items())
    rows = {
        "takes": "; ".join(told(name if len(takes) > 1 else name.rpartition("#")[2], takes[name]) for name in takes),
        "answers as": ", ".join(filter(None, others)),
        "servers": ", ".join(f"{source} {count:,}" for source, count in sorted(sources.items())),
    }
    return {name: row for name, row in rows.items() if row}
