"""Every page that people see, in Chromium: `MAKER_AXE=axe.min.js python tests/pages/pages.py [FOLDER]`, `make pages`.

The page of `maker view`, a report and the built site, each at the width of a phone and of a desk: no error of a script,
nothing wider than the window, nothing shown that is marked as hidden, and no serious or critical finding of axe-core
(`npm pack axe-core`, package/axe.min.js). Ends with 1 where there is any. FOLDER: where pictures go. Without Chromium,
or without axe, it says so and ends with 0.

Not covered: what axe cannot see; look at the pictures.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

from browser import CHROMIUM, Tab, browser
from maker.review.report.page import write_report

ROOT = Path(__file__).parents[2]
SITE, GOLDEN = ROOT / "dist" / "site", ROOT / "tests" / "golden"
WIDTHS = (390, 1280)
JOURNALS = ("format-2-finished", "format-2-escalated", "format-2-solve", "format-2-stopped")
SETTLED = "new Promise(done => setTimeout(done, 1500))"  # news come every half a second
WIDE = "document.scrollingElement.scrollWidth - innerWidth"
SHOWN = """[...document.querySelectorAll("[hidden]")].filter(one => one.checkVisibility({opacityProperty: true}))
  .map(one => `hidden, and shown all the same: ${one.outerHTML.slice(0, 160)}`)"""
AXE = """axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations
  .filter(one => ["serious", "critical"].includes(one.impact))
  .map(one => `${one.id} (${one.nodes.length}): ${one.nodes[0].html.slice(0, 160)}`))"""


async def look(tab: Tab, address: str, axe: str, name: str, *, dark: bool = False, pictures: Path | None = None,
               then: str = "") -> list[str]:  # fmt: skip
    """Open one page at each width and tell and return what is wrong. then: a script that leads on in the page."""
    wrong: list[str] = []
    for width in WIDTHS:
        await tab.look(width, dark=dark)
        await tab.open(address)
        if then:
            await tab.run(f"{SETTLED}.then(() => {{ {then} }}).then(() => {SETTLED})")
        if pictures is not None:
            await tab.picture(pictures / f"{_file(name)}-{width}{'-dark' if dark else ''}.png")
        over = await tab.run(WIDE)
        await tab.run(axe)
        found = [
            *tab.errors,
            *await tab.run(SHOWN),
            *await tab.run(AXE),
            *([f"{over} px too wide"] if over > 0 else []),
        ]
        wrong += [f"{name} at {width}{', dark' if dark else ''}: {one}" for one in found]
    print("\n".join(wrong) or f"{name}: nothing is wrong", flush=True)
    return wrong


def _file(name: str) -> str:
    return re.sub(r"\W+", "-", name)


@contextmanager
def viewed(folder: Path) -> Iterator[str]:
    """Show a folder's journals by `maker view`, on a free port; yield the address."""
    command = [sys.executable, "-m", "maker", "view", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on loopback; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def look_at_all(axe: str, pictures: Path | None) -> list[str]:
    """Return what is wrong with any page."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in JOURNALS:
            shutil.copy(GOLDEN / f"{name}.journal", folder)
        async with browser() as tab:
            with viewed(folder) as address:
                for name in JOURNALS:
                    chosen = f"const runs = document.getElementById('runs'); runs.value = '{name}.journal';"
                    chosen += " runs.dispatchEvent(new Event('change'));"
                    for dark in (False, True):
                        wrong += await look(
                            tab, address, axe, f"view {name}", dark=dark, pictures=pictures, then=chosen
                        )
                    chosen += " document.querySelector('#last button, #hardest button')?.click();"
                wrong += await look(tab, address, axe, "view, a step", pictures=pictures, then=chosen)
            for name in JOURNALS:
                report = write_report(folder / f"{name}.journal", folder / f"{name}.html")
                for dark in (False, True):
                    wrong += await look(tab, report.as_uri(), axe, f"report {name}", dark=dark, pictures=pictures)
            with served(SITE) as address:
                for page in sorted(SITE.rglob("*.html")):
                    name = page.relative_to(SITE).as_posix()
                    wrong += await look(tab, f"{address}/{name}", axe, name, pictures=pictures)
    return wrong


def main() -> int:
    """Look at all pages and tell what is wrong."""
    axe = Path(os.environ.get("MAKER_AXE", "axe.min.js"))
    if CHROMIUM is None or not axe.exists():
        print("skipped: there is no chromium, or MAKER_AXE does not name axe.min.js (npm pack axe-core)")
        return 0
    wrong = asyncio.run(look_at_all(axe.read_text() + ";0", Path(sys.argv[1]) if len(sys.argv) > 1 else None))
    print(f"{len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
