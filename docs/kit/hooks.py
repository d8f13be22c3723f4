"""What mkdocs does beside building pages: pages made of the code, pages of the root, links that lead out of the docs.

`mkdocs.yml` names this file. README.md is the first page; CHANGELOG, CONTRIBUTING and SECURITY are pages, too. A link
to a file that the site does not have becomes plain words, and one to a file that is nowhere ends the build.

Not covered: links within the site, which `mkdocs build --strict` checks itself.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))  # mkdocs loads this file alone

import commands
import messages
import reference
import texts

ROOT = Path(__file__).parents[2]
OF_THE_ROOT = {
    "README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}  # fmt: skip
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not files of `docs`."""
    made = {page: (ROOT / name).read_text(encoding="utf-8") for name, page in OF_THE_ROOT.items()}
    made |= reference.pages()
    made |= {"reference/commands.md": commands.page(), "how-to/troubleshooting.md": messages.page()}
    written = {file.src_uri: file.content_string for file in files if file.is_documentation_page()}
    made |= {
        "llms.txt": texts.short(config.site_name, config.site_description, config.nav, written | made),
        "llms-full.txt": texts.full(config.nav, written | made),
    }
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, files: Any, **_: Any) -> str:
    """Make links right that lead out of `docs`, or into it from the root."""
    origin = {made: name for name, made in OF_THE_ROOT.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    known = {f"docs/{file.src_uri}": file.src_uri for file in files} | OF_THE_ROOT
    parts = _FENCED.split(markdown)
    parts[::2] = [_LINK.sub(lambda found: _led(found, origin, page.file.src_uri, known), part) for part in parts[::2]]
    return "".join(parts)


def _led(found: re.Match[str], origin: str, page: str, known: dict[str, str]) -> str:
    """Return a link as the site has it: to its page, or its words alone where the target is no page."""
    image, words, target, anchor = found.groups()
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    if path in known:
        return f"{image}[{words}]({posixpath.relpath(known[path], posixpath.dirname(page) or '.')}{anchor or ''})"
    if not (ROOT / path).exists():
        raise PluginError(f"{origin}: there is no {path}, to which it links")
    return words
