"""A report shows what its journal holds, agrees with theory where theory is right, and runs nothing of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import maker
from echo import Echo
from maker.cli.app import main
from maker.decision.sample import Sample
from maker.errors import JournalError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note
from maker.journal.writer import Journal
from maker.models.oracle import Oracle
from maker.review.export import rows
from maker.review.report.data import collect
from maker.review.report.page import render_report, write_report
from maker.review.report.steps import SHOWN_TEXT
from maker.review.report.theory import compare, own_p
from maker.task.canonical import visible
from maker.testing import ScriptedModel

RUN = "document.title='RAN';document.documentElement.setAttribute('data-ran','1')"
HOSTILE = [
    f"<script>{RUN}</script>",
    f"</pre></style></script><script>{RUN}</script>",
    f'<img src="x" onerror="{RUN}">',
    f'" onmouseover="{RUN}" autofocus onfocus="{RUN}" x="',
    f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUN}"><script>{RUN}</script></svg>',
    f'<a href="javascript:{RUN}">click</a><iframe src="javascript:{RUN}"></iframe>',
    f'<iframe srcdoc="&lt;script&gt;parent.{RUN}&lt;/script&gt;"></iframe>',
    f"<details open ontoggle=\"{RUN}\">", f"<body onload=\"{RUN}\">", "<style>*{display:none}</style>",
    '<meta http-equiv="refresh" content="0;url=https://example.org/">', "<base href='https://example.org/'>",
    "{{ 7 * 7 }} {% raw %} ${7*7} <%= 7*7 %>", "<!-- ]]> --> <![CDATA[ &lt; &#60; &amp;",
    "nul \0 bell \a esc \x1b[31m\x1b]0;RAN\x07", "\u202egnp.exe \u2066 \u200b \ufeff", "\ud800", "$\\frac{1}{2}$ $x",
]  # fmt: skip
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "div", "p", "h1", "h2",
    "h3", "h4", "span", "code", "pre", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary",
    "figure", "figcaption", "svg", "g", "path", "text", "defs", "use", "clippath", "rect", "line",
}  # fmt: skip
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Hostile(Echo):
    """Its name, parameters and answer are hostile too; as many steps as a report shows with their texts."""

    name = HOSTILE[1]
    parameters: dict[str, Any] = {HOSTILE[0]: HOSTILE[2], "plain": [HOSTILE[4]]}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(steps=10)

    def answer(self, state: int) -> str:
        return HOSTILE[3]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run in which texts, flags, model, task, parameters and answer are hostile."""
    path = tmp_path_factory.mktemp("hostile") / "run.db"

    def reply(request: Any) -> Sample:
        step, draw = request.address.step, request.address.draw
        return Sample(HOSTILE[(step + 9 * (draw == 1)) % len(HOSTILE)], 3, 2, HOSTILE[2], f"{draw}{HOSTILE[0]}")

    def odd(sample: Sample, step: Any, earlier: Any) -> maker.RedFlag | None:
        return maker.RedFlag(HOSTILE[step.index % len(HOSTILE)]) if len(earlier) == 2 else None

    model = ScriptedModel(reply)
    model.name = HOSTILE[5]
    result = maker.run_sync(Hostile(), model=model, k=3, flags=[odd], journal=path, keep_samples="all")
    assert result.solved
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a solved run of 255 steps."""
    path = tmp_path_factory.mktemp("plain") / "run.db"
    task = maker.load_task("hanoi", disks=8)
    assert maker.run_sync(task, model="oracle:p=0.9,v=0.9", k=4, journal=path, keep_samples="all").solved
    return path


# -- nothing in it runs ---------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """Collects the tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_words_stay_text(hostile):
    """Only the template's own tags are there, no handler, no style, no address; each text is there as text."""
    page = render_report(collect(hostile))
    seen = Seen(page)
    assert set(seen.tags) <= TAGS
    assert seen.tags["style"] == seen.tags["title"] == seen.tags["body"] == 1 and "script" not in seen.tags
    for tag, name, value in seen.attributes:
        assert not name.startswith("on") and name not in ("style", "src", "srcdoc", "action"), (tag, name)
        assert name != "href" or value.startswith("#"), value
        assert name in ("content", "title", "aria-label") or "RAN" not in value, (tag, name, value)
    shown = sum(visible(text) in seen.text for text in HOSTILE)
    assert shown == len(HOSTILE), [text for text in HOSTILE if visible(text) not in seen.text]
    assert not re.search("[\0\x07\x1b\u202e\u2066\u200b\ufeff\ud800]", page)


def test_tables_that_scroll_are_reached_by_keys(hostile):
    """Each part that may scroll sideways takes the focus, and has a name to hear then."""
    scrolls = re.findall(r'<div class="scroll"([^>]*)>', render_report(collect(hostile)))
    assert len(scrolls) >= 3
    assert [one for one in scrolls if not re.fullmatch(r' tabindex="0" role="region" aria-label="[^"]+"', one)] == []


def test_the_policy_allows_one_style_sheet_and_nothing_else(hostile):
    """The policy has default-src 'none' and the hash of the page's own style sheet, which comes before any text."""
    page = render_report(collect(hostile))
    policy = next(value for tag, name, value in Seen(page).attributes if name == "content" and "default-src" in value)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    assert page.index("Content-Security-Policy") < page.index("<title>") < page.index("<style>")
    assert "url(" not in style and "@import" not in style and "http" not in style


def dom(page: Path) -> str:
    """Return the page as a browser has it after loading."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{page}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, errors="replace").stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_a_browser_runs_nothing_of_a_hostile_journal(hostile, tmp_path):
    """Chromium opens the report and no script ran; the policy alone would stop one; without both it does run."""
    page = write_report(hostile, tmp_path / "report.html").read_text("utf-8")
    (tmp_path / "report.html").write_text(page.replace("<details>", "<details open>"), "utf-8")
    loaded = dom(tmp_path / "report.html")
    assert "data-ran" not in loaded.partition("<head>")[0] and "<title>RAN" not in loaded
    assert "Hardest steps" in loaded and "Figures" in loaded
    # The same page with its first hostile text let through: the policy alone holds it.
    torn = page.replace("<main>", f"<main>{HOSTILE[0]}{HOSTILE[2]}", 1)
    (tmp_path / "torn.html").write_text(torn, "utf-8")
    assert "data-ran" not in dom(tmp_path / "torn.html").partition("<head>")[0]
    # And without the policy: this check can fail.
    open_page = re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", torn)
    (tmp_path / "open.html").write_text(open_page, "utf-8")
    assert "data-ran" in dom(tmp_path / "open.html").partition("<head>")[0]


# -- it shows what the journal holds ---------------------------------------------------------------------------


def test_a_report_is_one_small_file_with_the_figures_of_the_run(run, tmp_path):
    """The file is under 1 MB, names run, simulated model and result, and holds six figures with axis labels."""
    path = write_report(run, tmp_path / "report.html")
    page = path.read_text("utf-8")
    assert path.stat().st_size < 1_000_000
    seen = Seen(page)
    for words in ("solved", "simulated model", "255", "oracle:p=0.9", "rounds of sampling", "valid votes of a step",
                  "samples of a step", "% of samples", "nats", "theory", "this run"):  # fmt: skip
        assert words in seen.text, words
    assert seen.tags["svg"] == seen.tags["figure"] == 6
    ids = [value for _, name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for _, name, value in seen.attributes if name == "href"}
    used |= {value[5:-1] for _, name, value in seen.attributes if name == "clip-path"}
    assert used <= set(ids)
    assert write_report(run, tmp_path / "again.html").read_text("utf-8") == page


def test_findings_agree_with_the_rows(run):
    """Sums, histograms and the hardest steps are those of the exported rows."""
    found, table = collect(run), list(rows(run))
    assert found.samples == sum(row["samples"] for row in table)
    assert found.flagged == sum(row["flagged"] for row in table) == found.flags.total()
    assert found.votes == Counter(row["samples"] - row["flagged"] for row in table)
    assert found.unanimous == sum(row["answers"] == 1 for row in table) == 255 - found.entropies.total()
    assert found.tokens_out == sum(row["tokens_out"] for row in table)
    ranked = sorted(table, key=lambda row: (-row["samples"], -row["entropy"], row["step"]))
    assert [stored.step for stored in found.hardest] == [row["step"] for row in ranked[:10]]
    first: dict[int, bool] = {}
    for row in rows(run, "samples"):
        if row["candidate"] is not None:
            first.setdefault(row["step"], row["won"])
    assert found.agreed == sum(first.values())


def test_unfinished_runs_have_reports(tmp_path):
    """A run that stopped, one that is undecided, and one that only began each give a report that says so."""
    hanoi = maker.load_task("hanoi", disks=6)
    maker.run_sync(hanoi, model="oracle:p=0.9", k=3, journal=tmp_path / "stopped.db", limits={"max_steps": 9})
    page = render_report(collect(tmp_path / "stopped.db"))
    assert "stopped: max_steps" in page and "of 63" in page
    model = ScriptedModel(["a", "b"])
    maker.run_sync(Hostile(), model=model, k=3, journal=tmp_path / "open.db", limits={"max_votes": 8})
    page = render_report(collect(tmp_path / "open.db"))
    assert "stopped: undecided" in page and "Open steps" in page and "No step is decided" in page
    killed = tmp_path / "killed.db"
    with Journal(killed) as journal:
        list(journal.replay())
        journal.append(next(read_records(tmp_path / "stopped.db")))
    page = render_report(collect(killed))
    assert "still running, or killed" in page and page.count("Nothing to draw yet") == 6
    usage = {"usage": {"failed": 0, "cancelled": 0, "lost_in": 0, "lost_out": 0}}
    with pytest.raises(JournalError, match="no run yet"):
        collect(wrote(tmp_path / "empty.db", [usage]))


def test_long_texts_many_flags_and_digests_keep_a_report_small(tmp_path):
    """Texts of 60,000 characters, 300 kinds of flags and a step of 600 samples are cut, and it is said how much."""
    path = tmp_path / "run.db"

    def reply(request: Any) -> Sample:
        return Sample("\x1b&<" * 20_000 + str(request.address.draw % 2), 3, 2)

    def odd(sample: Sample, step: Any, earlier: Any) -> maker.RedFlag | None:
        return maker.RedFlag(f"kind {len(earlier)} " + "x" * 500) if len(earlier) < 300 else None

    limits = {"max_votes": 300, "max_flags": 1000}
    task = Hostile()
    maker.run_sync(task, model=ScriptedModel(reply), k=3, flags=[odd], journal=path, keep_samples="none", limits=limits)
    page = render_report(collect(path))
    assert len(page.encode()) < 1_000_000
    for words in (f"{60_001 - SHOWN_TEXT:,} more characters", "more flagged samples", "and 43", "kind 0 xxx"):
        assert words in page, words
    bare = tmp_path / "bare.db"
    maker.run_sync(maker.load_task("hanoi", disks=4), model="oracle:p=0.9,v=0.5", k=3, journal=bare)
    assert "text not stored, digest" in render_report(collect(bare))


def test_a_calibrated_run_compares_its_plan(tmp_path):
    """With k auto the plan's column is there, with the calibration's own figures; every interval holds its value."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=7), model="oracle:p=0.95,v=0.9", journal=path)
    found = collect(path)
    table = {row.name: row for row in compare(found)}
    calibration = found.summary.calibration
    planned = table["p: first valid samples that agree with the winner"].planned
    assert planned.value == 1 - calibration["wrong"] / calibration["valid"]
    assert table["P(the whole run is right)"].fitted is None, "agreement says nothing of it"
    for row in table.values():
        for estimate in (row.planned, row.fitted, row.observed):
            if estimate is not None and estimate.interval is not None:
                assert estimate.interval[0] <= estimate.value <= estimate.interval[1], row
    assert "planned, from the calibration" in render_report(found)


def test_a_run_by_a_table_is_not_compared_with_constant_k(tmp_path):
    """Where margins widen, the page says how, and predicts nothing by constant k; what votes are worth is said."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=6), model=Oracle(p=0.97, rho=0.05, seed=5), k="table", journal=path)
    found = collect(path)
    table = {row.name: row for row in compare(found)}
    assert "P(the whole run is right)" not in table
    assert table["votes a step"].fitted is table["votes a step"].planned is None
    assert table["votes a step"].observed is not None
    page = render_report(found)
    assert f"and more, by a table: {found.summary.table}" in page
    assert found.summary.worth and found.summary.worth in page
    assert "Line: theory" not in page


def test_prediction_and_observation_agree_where_the_formulas_hold(tmp_path):
    """Independent samples of one p: votes and samples a step lie within the fitted theory's reach."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=11), model="oracle:p=0.9,v=0.9", k=5, journal=path)
    table = {row.name: row for row in compare(collect(path))}
    for name in ("votes a step", "samples a step", "steps undecided after round 1"):
        fitted, observed = table[name].fitted, table[name].observed
        assert fitted.value == pytest.approx(observed.value, rel=0.05), name


def test_at_k_1_nothing_is_compared_with_itself(tmp_path):
    """With k = 1 every first sample wins: no p is read off it, and the page says why."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=3), model="oracle:p=1.0", k=1, journal=path)
    found = collect(path)
    assert own_p(found) is None and "at k = 1 that says nothing" in render_report(found)


def test_what_calls_cost_and_what_was_changed_is_shown(run, tmp_path):
    """The costs of settled calls add up, a change of settings is named, and a senseless note is damage."""
    header = decode(next(read_records(run)))
    address = {"run": header["header"]["run"], "step": 0, "draw": 0}
    notes = [
        header,
        {"sample": {**address, "text": "x", "spent": [3, 2, 0, 0.25, 0]}},
        {"failure": {**address, "detail": "gone", "spent": [0, 0, 9, 0.5, 0]}},
        {"epoch": {"number": 1, "changed": ["k", "temperature"], "header": header["header"]}},
    ]
    page = render_report(collect(wrote(tmp_path / "paid.db", notes)))
    assert "$0.7500, of the calls that were settled" in page and "k, temperature" in page
    for senseless in ({"failure": {**address, "detail": "", "spent": spent}} for spent in (None, [1])):
        path = wrote(tmp_path / f"{len(list(tmp_path.iterdir()))}.db", [header, senseless])
        with pytest.raises(JournalError, match="contradicts itself"):
            collect(path)


def wrote(path: Path, notes: list[Any]) -> Path:
    """Write a journal of notes."""
    with Journal(path) as journal:
        list(journal.replay())
        for note in notes:
            journal.append(encode_note(note))
    return path


# -- what is refused --------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused(run, tmp_path, monkeypatch):
    """Another ending, a missing folder or library, and a missing journal are one-line errors with the remedy."""
    for output, words in [("report.pdf", ".html"), ("none/report.html", "No such file")]:
        with pytest.raises(TaskError, match=words):
            write_report(run, tmp_path / output)
    with pytest.raises(JournalError, match="no such journal"):
        write_report(tmp_path / "nothing.db", tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
    for library in ("jinja2", "matplotlib"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            with pytest.raises(TaskError, match=r"maker\[plots\]"):
                write_report(run, tmp_path / "report.html")


def test_the_command_writes_and_says_where(run, tmp_path, monkeypatch, capsys):
    """`maker report` names the file and its size; --json prints one object."""
    for more in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["maker", "report", str(run), "-o", str(tmp_path / "report.html"), *more])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert not end.value.code and said.err == ""
    assert json.loads(said.out) == {
        "output": str(tmp_path / "report.html"), "bytes": (tmp_path / "report.html").stat().st_size
    }  # fmt: skip
