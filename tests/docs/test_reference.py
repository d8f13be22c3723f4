"""docs/kit/reference.py: every public name and every argument of it is told."""

from __future__ import annotations

import inspect
import re

import pytest

import maker
import maker.errors
import maker.models
import maker.testing
from reference import page_of, pages, prose, public, signature

TEXT = "\n".join(pages().values())
MODULES = {"maker.models": maker.models, "maker.testing": maker.testing, "maker.theory": maker.theory}


def test_every_public_name_has_its_place():
    """What `maker` and its public modules list stands in the reference, each under one heading."""
    headings = re.findall(r"^## `([\w.]+)`$", TEXT, re.MULTILINE)
    assert len(headings) == len(set(headings))
    modules = {"cluster", "flags", "keys", "ladder", "theory"}  # told by what is in them
    told = {heading.rpartition(".")[2] for heading in headings}
    listed = {name for module in MODULES.values() for name in module.__all__} | set(maker.__all__) - modules
    assert listed - told == set()
    for module in modules:
        assert f"## `maker.{module}." in TEXT


@pytest.mark.parametrize("name", [name for name, thing in public().items() if inspect.isfunction(thing)])
def test_every_argument_is_told(name: str):
    """The entry of a function names each of its arguments."""
    entry = TEXT.split(f"## `{name}`\n")[1].split("\n## ")[0]
    for argument in inspect.signature(public()[name]).parameters:
        assert re.search(rf"\b{argument}\b", entry), argument


def test_no_entry_is_empty_or_of_this_process_alone():
    """Each entry has words, and none holds what another process would say otherwise, such as an address."""
    for entry in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        assert len(entry.split()) > 1, entry
    assert re.findall(r"0x[0-9a-f]{6,}|<function|FieldInfo", TEXT) == []


def test_a_long_signature_has_a_line_for_each_argument():
    """Defaults and keyword-only arguments are written as in the source."""

    def short(a: int, *, b: str = "x") -> None: ...

    def long(first_of_all: int, second_of_all: int = 2, *rest: int, third_of_all: str = "", **more: int) -> str: ...

    assert signature("short", short) == "short(a: int, *, b: str = 'x') -> None"
    told = signature("long", long).splitlines()
    assert told[0] == "long(" and told[3] == "    *rest: int," and told[-1] == ") -> str"


def test_marks_of_a_docstring_stay_words():
    """What Markdown would read as a mark is escaped, but not where it is code already."""
    assert prose("a *b* <c> `*d*`") == r"a \*b\* \<c> `*d*`"


def test_a_name_from_nowhere_is_told():
    """A public name whose module no page takes ends the build in words."""
    with pytest.raises(LookupError, match=r"PAGES of docs/kit/reference.py"):
        page_of("odd.name", inspect)
