"""llms.txt and llms-full.txt: the site for readers that are programs, a line a page, and all pages in one text.

Not covered: which pages there are and in which order; that is the navigation in `mkdocs.yml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Nav = Sequence[Mapping[str, Any]]


def listed(nav: Nav, group: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (group, title, page) of each page in the order of the navigation."""
    for entry in nav:
        for title, what in entry.items():
            if isinstance(what, str):
                yield group or title, title, what
            else:
                yield from listed(what, title)


def short(name: str, said: str, nav: Nav, pages: Mapping[str, str]) -> str:
    """Return llms.txt: what the project is, and each page with a link and the first sentence of its text."""
    text, before = f"# {name}\n\n> {said}\n", ""
    for group, title, page in listed(nav):
        text += f"\n## {group}\n\n" if group != before else ""
        text += f"- [{title}]({page.removesuffix('.md')}.html): {first(pages[page])}\n"
        before = group
    return text


def full(nav: Nav, pages: Mapping[str, str]) -> str:
    """Return llms-full.txt: the text of every page, each under its file's name."""
    return "\n\n".join(f"<!-- {page} -->\n\n{pages[page].strip()}" for _, _, page in listed(nav)) + "\n"


def first(text: str) -> str:
    """Return the first sentence of a page that is no heading, table, picture or code."""
    for paragraph in re.split(r"\n\s*\n", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        line = " ".join(part for part in paragraph.split("\n") if not part.startswith("#")).strip()
        if line and line[0] not in "|!<>-":
            line = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", line)
            return re.split(r"(?<=[.!?]) (?=[A-Z`*])", line)[0]
    return ""
