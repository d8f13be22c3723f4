"""Whether the site that was built needs nothing from elsewhere: `python docs/kit/offline.py [FOLDER]`.

Ends with 1 and a line for each page that would fetch something, or that links to a file or a place that is not there.

Not covered: what scripts fetch; that is seen in a browser without a network.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).parents[2] / "dist" / "site"
_FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """What one page fetches, links to, and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of one tag."""
        told = {name: value or "" for name, value in attrs}
        if "id" in told:
            self.places.add(told["id"])
        if tag == "link" and told.get("rel") != "canonical":
            self.fetched.append(told.get("href", ""))
        elif tag == "a":
            self.links.append(told.get("href", ""))
        elif tag in _FETCHED:
            self.fetched.append(told.get(_FETCHED[tag], ""))


def complaints(site: Path) -> list[str]:
    """Return what is wrong with a site, a line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name}: fetches {url}" for url in page.fetched if urlsplit(url).netloc]
        for link in page.links + page.fetched:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":  # which has links from the root
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                found.append(f"{name}: links to {link}, which is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places | {"top"}:
                found.append(f"{name}: links to {link}, a place that is not there")
    return found


if __name__ == "__main__":
    told = complaints(Path(sys.argv[1]).resolve() if sys.argv[1:] else SITE)
    print("\n".join(told) or "the site needs nothing from elsewhere")
    sys.exit(bool(told))
