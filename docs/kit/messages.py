"""Every message that an error of maker can bring, read out of the source: what happened, where, what to do.

Not covered: messages that are put together elsewhere and only handed on; `unknown` counts those.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from maker import errors

SOURCE = Path(__file__).parents[2] / "src" / "maker"
KINDS: dict[str, type[errors.MakerError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.MakerError)
}
_MEANING = {
    "TaskError": "The task, its parameters or a setting is wrong; nothing was asked, or the run stands where it was.",
    "Infeasible": "Voting cannot do it with this model: choose finer steps or another model.",
    "ModelError": "The model cannot be used at all. `maker check MODEL` says more.",
    "JournalError": "The journal is damaged, locked by another process, foreign, or of another run. It is left alone.",
    "JournalFull": "Free some space and run the same command again.",
    "Undecided": "A limit was met before one answer was k ahead. Raise the limit and resume, or change the step.",
    "InternalError": "A fault of maker's own: please report it.",
}


class Message(NamedTuple):
    """One message: the error's name, its text with the variable parts in braces, and the file it stands in."""

    error: str
    text: str
    file: str


def messages() -> Iterator[Message]:
    """Yield each message that stands in the source where its error is made; an empty text where it does not."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS and node.args:
                text = written(node.args[0])
                words = re.findall(r"\w+", re.sub(r"\{[^}]*\}", "", text))
                yield Message(node.func.id, text if len(words) > 1 else "", path.relative_to(SOURCE).as_posix())


def written(node: ast.expr) -> str:
    """Return a text as the source has it, `{name}` for what varies; nothing where no words of it stand there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else str(ast.literal_eval(part))
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = written(node.left), written(node.right)
        return (left or "{...}") + (right or "{...}") if left or right else ""
    if isinstance(node, ast.IfExp):
        return f"{written(node.body)} / {written(node.orelse)}".strip(" /")
    return ""


def unknown() -> int:
    """Return how many errors are made of texts that stand elsewhere."""
    return sum(not message.text for message in messages())


def page() -> str:
    """Return the page of all messages, by the error that brings them."""
    text = "# Troubleshooting by message\n\nEvery message says what happened, where, and what to do. Search this page "
    text += "for words of yours; what stands in braces varies.\n"
    for name, meaning in _MEANING.items():
        found = sorted({message for message in messages() if message.error == name and message.text})
        text += f"\n## {name}\n\n{meaning} Exit code {KINDS[name].exit_code}.\n\n"
        text += "".join(f"- {quoted(message.text)}\n" for message in found)
    return text


def quoted(text: str) -> str:
    """Return a message as code, whatever marks are in it."""
    line = " ".join(text.split())
    fence = "``" if "`" in line else "`"
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"
