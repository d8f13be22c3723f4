"""The experiments: what each brings back, what is called simulated, what is written, what is refused."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maker import theory
from maker.cli import app as cli
from maker.decision.ending import Stop
from maker.decision.flags import DEFAULT, PAPER
from maker.errors import ModelError, TaskError
from maker.experiments import convergence, correlation, decomposition, error_rate, page, red_flags, stopping_rules
from maker.experiments.kit.bench import Bench, Source, oracle, sources, spread
from maker.experiments.kit.exact import measured
from maker.experiments.kit.files import write
from maker.experiments.kit.study import Options, Share, aligned, markdown
from maker.experiments.registry import NAMES, load
from maker.task.canonical import canonical
from maker.task.load import load_task
from maker.testing import FaultServer

DISKS = 20


class Tiny(Options):
    """So few draws that a test takes no time."""

    def size(self, full: int, quick: int) -> int:
        """Return a handful, whatever is asked for; simulated races stay many enough to be mixed."""
        return 40 if quick <= 4000 else 2000


class Runs(Options):
    """So few whole runs that a test takes little time."""

    def size(self, full: int, quick: int) -> int:
        """Return two, whatever is asked for."""
        return 2


def tiny(name: str, seed: int = 0):
    """Run an experiment on a few simulated draws."""
    if name == "ladder":
        return load(name)(Runs(True, seed))
    options = Tiny(True, seed, None if name in ("scaling", "stopping-rules") else "oracle:p=0.9,v=0.9,rho=0.1")
    return load(name)(options)


@pytest.fixture(scope="module")
def outcomes():
    """Return every experiment's outcome, run once."""
    return {name: tiny(name) for name in NAMES}


@pytest.fixture
def maker(capsys, monkeypatch):
    """Return the command line as a function: exit code, stdout, stderr."""

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["maker", *map(str, args)])
        with pytest.raises(SystemExit) as leave:
            cli.main()
        out, err = capsys.readouterr()
        return int(leave.value.code or 0), out, err

    return call


@pytest.mark.parametrize("name", NAMES)
def test_an_outcome_is_whole(outcomes, name):
    """Rows have one set of columns, the table is a rectangle, and both paragraphs, n and what is simulated are said."""
    outcome = outcomes[name]
    assert outcome.name == name
    assert outcome.rows and all(row.keys() == outcome.rows[0].keys() for row in outcome.rows)
    assert len(outcome.table) > 1 and len({len(row) for row in outcome.table}) == 1
    for said in (outcome.question, outcome.shows, outcome.shows_not, outcome.n, outcome.simulated):
        assert len(said) > 10 and "nan" not in said.split()
    assert "simulated" in outcome.simulated or "oracle" in outcome.simulated or "all of it" in outcome.simulated


@pytest.mark.parametrize("name", NAMES)
def test_every_axis_is_labelled(outcomes, name):
    """Each panel of each figure has a label, or names, on x, something drawn, and the first one a label on y."""
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=outcomes[name].size)
    outcomes[name].draw(figure)
    assert figure.axes[0].get_ylabel()
    for axes in figure.axes:
        assert axes.get_xlabel() or axes.get_xticklabels()[0].get_text()
        assert axes.get_lines() or axes.get_images()


def test_figure_and_rows_are_written(outcomes, tmp_path):
    """The figure is a PNG of at least 800 pixels and few bytes; the CSV and the Parquet file hold every row."""
    image, parquet = pytest.importorskip("PIL.Image"), pytest.importorskip("pyarrow.parquet")
    outcome = replace(outcomes["decomposition"], files={})
    files = write(outcome, tmp_path)
    with image.open(files["figure"]) as picture:
        assert picture.format == "PNG" and picture.width >= 800
    assert Path(files["figure"]).stat().st_size < 150_000
    with Path(files["csv"]).open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["model"] for row in read] == [row["model"] for row in outcome.rows]
    assert [float(row["calls_a_step"]) for row in read] == pytest.approx([row["calls_a_step"] for row in outcome.rows])
    assert parquet.read_table(files["parquet"]).to_pylist() == outcome.rows


def test_the_seed_decides(outcomes):
    """The same seed gives the same rows, another seed others."""
    assert tiny("convergence").rows == outcomes["convergence"].rows
    assert tiny("convergence", seed=1).rows != outcomes["convergence"].rows


def test_a_simulated_source_is_called_simulated():
    """The oracle's name says so wherever it is shown; the bundled model's does not."""
    assert "(simulated)" in oracle("p=0.9").name and oracle("p=0.9").simulated
    (own,) = sources(Options(model="neural", temperature=1.8), oracle("p=0.9"))
    assert own == Source("neural", 1.8, "neural, T = 1.8") and not own.simulated
    (asked,) = sources(Options(model="oracle:p=0.8"), own)
    assert asked.spec == "oracle:p=0.8" and "(simulated)" in asked.name


def test_shares_have_exact_intervals():
    """A share's interval is the two-sided exact one; of no trials it is all of 0 to 1."""
    share = Share(3, 50)
    assert share.low == pytest.approx(1 - theory.p_upper(3, 50, 0.975))
    assert share.high == pytest.approx(1 - theory.p_lower(3, 50, 0.975))
    assert Share(0, 10).low == 0 and Share(10, 10).high == 1
    assert (Share(0, 0).low, Share(0, 0).high, Share(0, 0).text()) == (0.0, 1.0, "-")


def test_spread_draws_each_step_once_where_there_are_enough():
    """Large tasks give different steps, small ones all their steps several times."""
    steps, each = spread(1000, 100, 0)
    assert len(set(steps)) == 100 and each == 1 and spread(1000, 100, 0) == (steps, each) != spread(1000, 100, 1)
    assert spread(7, 100, 0) == (list(range(7)), 15)


def test_the_planted_error_is_recovered():
    """Counting the oracle's replies gives its p and v, and its legal rivals pass every flag."""
    source = oracle("p=0.8,v=0.9")
    with Bench(source) as bench:
        seen = error_rate.counted(bench, bench.draws(DISKS, list(range(1, 1501)), 1))
    assert seen["wrong"].low < 0.2 < seen["wrong"].high and seen["wrong"] == seen["wrong_default"]
    assert seen["flagged"].low < 0.1 < seen["flagged"].high
    assert seen["not_right"].low < 1 - 0.9 * 0.8 < seen["not_right"].high


def test_a_model_over_http_is_asked_in_words():
    """A server that answers by the rules, and every fourth time with another legal move, is graded as such."""
    task = load_task("hanoi", disks=5)

    def answer(received):
        before, stacks = (json.loads(line.split(" = ")[1]) for line in received.prompt.strip().splitlines()[-2:])
        state = type(task.initial_state())(tuple(map(tuple, stacks)), tuple(before) or None)
        wrong = len(server.requests) % 4 == 0
        return task.render(task.rivals(state, 0)[0] if wrong else task.truth(state, 0))

    with FaultServer(answer) as server, Bench(Source(server.spec(), 0.1, "served")) as bench:
        seen = error_rate.counted(bench, bench.draws(5, list(range(1, 25)), 1))
    assert seen["wrong"] == Share(6, 24) == seen["wrong_default"] and seen["flagged"].seen == 0
    assert len(server.requests) == 24 and "Rules: there are three pegs" in server.requests[0].prompt


def test_exact_and_drawn_errors_of_the_bundled_model_agree():
    """On a small tower the bundled model's drawn error is within the interval of its exact one."""
    hot = Source("neural:workers=0", 2.4, "bundled")
    with Bench(hot) as bench:
        seen = error_rate.counted(bench, bench.draws(4, *spread(15, 600, 0)))
    (p,) = measured([replace(hot, spec="neural")], [4], 20, 0).values()
    assert seen["not_right"].low < 1 - p.mean() < seen["not_right"].high
    assert measured([oracle("p=0.9")], [4], 20, 0) == {}


def test_convergence_follows_the_planted_p():
    """With one p for all steps the open steps fall as theory says; after no round and before k votes all are open."""
    with Bench(oracle("p=0.8,v=0.9")) as bench:
        seen = convergence.counted(bench, bench.votes(DISKS, list(range(1, 1001)), convergence.K, PAPER))
    assert seen.rounds[0].rate == 1 == seen.votes[convergence.K - 1].rate
    for share, expected in zip(seen.rounds, convergence.walks.after_waves(0.8, 0.9, convergence.K, 12), strict=True):
        assert abs(share.rate - expected) < 4 * np.sqrt(0.25 / 1000)
    assert seen.open == 0 and seen.p.low < 0.8 < seen.p.high


GOOD = "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]"


@pytest.mark.parametrize(
    ("text", "stacks"),
    [
        (GOOD, [[3, 2], [], [1]]),
        (GOOD.replace("=", ":"), [[3, 2], [], [1]]),  # another sign
        (GOOD[:-2], [[3, 2], [], [1]]),  # not closed
        ("I think " + GOOD + " or so", [[3, 2], [], [1]]),
        ("move = [1, 0, 2]\nnext_state = [[3, 2], []", [[3, 2], [], []]),  # a stack is missing
        ("move = [1, 0, 2, 1]\nnext_state = [[3, 2], [], [1], [1]]", [[3, 2], [], [1]]),  # too much of all
    ],
)
def test_the_repairing_reader_takes_what_it_can_find(text, stacks):
    """Broken replies still get a vote when repaired, the one a forgiving reader would give."""
    assert red_flags.repaired(text) == canonical([[1, 0, 2], stacks])


@pytest.mark.parametrize("text", [None, "", "move = [1, 0, 2]", "move = [1, 0]\nnext_state = [[3], [], []]"])
def test_the_repairing_reader_needs_something(text):
    """Without a move or without any stack even the repairing reader finds no vote."""
    assert red_flags.repaired(text) is None


def test_repairing_lets_confused_replies_vote():
    """Rambling replies with the rival's answer vote when repaired and are stopped by the paper's flags."""
    with Bench(oracle("p=1,confusion=0.2")) as bench:
        seen = red_flags.counted(bench, bench.draws(DISKS, list(range(1, 301)), red_flags.EACH))
    assert seen.ways["repaired"].error.low < 0.2 < seen.ways["repaired"].error.high
    assert seen.ways["paper's flags"].wrong == 0 and seen.ways["paper's flags"].v.rate < 0.9
    assert seen.not_right.total() == 300 - sum(seen.lengths[n] for n in seen.lengths if not seen.not_right[n])


def test_collisions_of_clustered_errors_exceed_independence():
    """With planted rho the first two votes are both wrong about 1 + rho p / (1 - p) times as often as by chance."""
    with Bench(oracle("p=0.9,rho=0.5")) as bench:
        way = red_flags.counted(bench, bench.draws(DISKS, list(range(1, 1201)), 2)).ways["default flags"]
    ratio = way.both.rate / way.error.rate**2
    assert 3.5 < ratio < 7.5  # 1 + 0.5 * 9 = 5.5
    assert way.same_wrong == way.both_wrong  # one rival a step


def test_a_chain_of_right_calls_costs_k_calls_a_step():
    """A model that never errs takes k calls for each step at any m, and loses nothing."""
    with Bench(oracle("p=1")) as bench:
        for m in (1, 4):
            seen = decomposition.counted(decomposition.play(bench, m, 10), m)
            assert seen.calls == decomposition.K and seen.right.rate == 1 and seen.wrong.seen == 0


def test_longer_chains_are_right_less_often_and_cost_more():
    """Replies of m steps are right with (v p)^m, single calls give back the planted p and v, and cost rises with m."""
    with Bench(oracle("p=0.9,v=0.95")) as bench:
        sizes = {m: decomposition.counted(decomposition.play(bench, m, 150), m) for m in (1, 6)}
    one = decomposition.single(sizes)
    assert abs(one.p - 0.9) < 0.03 and abs(one.v - 0.95) < 0.02
    assert sizes[6].right.low < (0.9 * 0.95) ** 6 < sizes[6].right.high
    assert sizes[6].calls - sizes[6].half > sizes[1].calls + sizes[1].half
    assert one.calls(1) == pytest.approx(theory.expected_votes(one.p, decomposition.K) / one.v)


def test_a_broken_chain_costs_only_the_calls_it_made():
    """Where nothing is wrong but replies are flagged, the formula's calls for a step are those that were made."""
    with Bench(oracle("p=1,v=0.8")) as bench:
        seen = decomposition.counted(decomposition.play(bench, 5, 150), 5)
    assert abs(seen.calls - decomposition.Single(1.0, 0.8).calls(5)) < 1.5 * seen.half
    assert seen.half < 0.5


def test_lost_steps_are_those_that_the_right_answer_did_not_win():
    """A model that is always right loses no step at any k; one that is always wrong loses them all, decided."""
    none = correlation.votes(oracle("p=1"), PAPER, 10, Options(quick=True))
    every = correlation.votes(oracle("p=0"), PAPER, 10, Options(quick=True))
    assert set(none.values()) == {(Share(0, 10), 0)} and set(every.values()) == {(Share(10, 10), 0)}


def test_a_model_that_writes_nonsense_breaks_its_chain():
    """Stacks with unknown disks or too many are not put before the model again."""
    move = (1, 0, 2)
    assert decomposition._readable((move, ((3, 2), (), (1,))))
    assert not decomposition._readable((move, ((21,), (), ())))
    assert not decomposition._readable(((60, 0, 1), ((1,), (), ())))
    assert not decomposition._readable((move, (tuple(range(1, 21)), (1,), ())))


def test_each_rung_rescues_its_kind_and_none_guesses(outcomes):
    """Kinds of trouble finish only once their rung is on, the hopeless never, and no run ends with a wrong result."""
    finished = {(row["arm"], row["kind"]): row["finished_seen"] for row in outcomes["ladder"].rows}
    cures = {"cold": "+ refine", "touchy": "+ reword", "stubborn": "+ another model", "too big": "+ finer"}
    arms = list(dict.fromkeys(arm for arm, _ in finished))
    for kind, cure in cures.items():
        for arm in arms:
            if arms.index(arm) >= arms.index(cure):
                assert finished[arm, kind] == 2, (arm, kind)
        assert finished["off", kind] < 2
    assert not any(seen for (_, kind), seen in finished.items() if kind == "hopeless")
    assert all(row["ended_wrong"] == 0 for row in outcomes["ladder"].rows)
    assert all(row["with_wrong_step"] == 0 for row in outcomes["ladder"].rows if row["kind"] != "unlucky")


def test_ahead_by_k_is_the_cheapest_rule_in_the_table(outcomes):
    """In the scenes of two answers no rule without confidences is below ahead-by-k at an error of 1%."""
    found = {scene.short: column for column, scene in enumerate(stopping_rules.SCENES, 1)}
    table = {row[0]: row for row in outcomes["stopping-rules"].table}
    for short in ("2 answers, p = .75", "2 answers, p = .95"):
        column = found[short]
        ahead = float(table["ahead by k"][column])
        for rule in ("first to k", "majority of n", "Beta posterior", "ESC window"):
            assert float(table[rule][column]) >= ahead


def test_a_lost_model_ends_an_experiment_with_one_message():
    """What stops a run (a lost model, a poison step) is a ModelError here, since nothing can be resumed."""
    with Bench(oracle("p=0.9")) as bench:

        async def lose(requests):
            raise Stop("model_lost", "step 1: 10 attempts failed.")

        bench._dispatcher.draw = lose
        with pytest.raises(ModelError, match=r"10 attempts failed\. An experiment keeps no journal"):
            bench.draws(DISKS, [1, 2], 1)


def test_flags_and_votes_of_an_experiment_see_no_truth():
    """The step that flags see holds the task's rules and nothing that knows the right answer."""
    with Bench(oracle("p=0.5")) as bench:
        (poll,) = bench.votes(DISKS, [5], 2, DEFAULT)
    assert not any(hasattr(part, "truth") for part in (poll.step, poll.step.rules, poll.step.state))


def test_the_command_prints_one_json_object(maker, tmp_path):
    """--json prints one object with rows, paragraphs and the files written, and nothing else anywhere."""
    command = ("experiment", "decomposition", "--quick", "--model", "oracle:p=1", "--out", tmp_path)
    code, out, err = maker(*command, "--json")
    said = json.loads(out)
    assert (code, err) == (0, "")
    assert said["rows"] and said["shows"] and said["seed"] == 0 and "simulated" in said["simulated"]
    assert sorted(map(str, tmp_path.iterdir())) == sorted(said["files"].values())
    assert set(said["files"]) == {"csv", "parquet", "figure"}


def test_the_command_prints_table_and_paragraphs(maker, tmp_path, monkeypatch):
    """Without --json: question, table, what it shows and does not, seed, what is simulated; progress on stderr."""
    monkeypatch.setattr(Options, "size", Tiny.size)
    code, out, err = maker("experiment", "convergence", "--quick", "--model", "oracle:p=0.9", "--out", tmp_path)
    assert code == 0 and "stay undecided" in err
    for part in ("How fast", "Not shown:", "seed 0", "simulated: all draws of oracle", "convergence.csv"):
        assert part in out


def test_without_matplotlib_rows_are_written_all_the_same(maker, tmp_path, monkeypatch):
    """Where matplotlib is missing the message names the extra, and table and rows are there."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(Options, "size", Tiny.size)
    code, out, err = maker("experiment", "convergence", "--quick", "--model", "oracle:p=0.9", "--out", tmp_path)
    assert code == 0 and "maker[plots]" in err and "figure" not in out.split("simulated:")[1]
    assert (tmp_path / "convergence.csv").exists() and not (tmp_path / "convergence.png").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing"], "there is no experiment 'nothing'. Known: error-rate"),
        ([], "which experiment?"),
        (["scaling", "--model", "oracle"], "asks no model"),
        (["stopping-rules", "--model", "oracle"], "asks no model"),
        (["error-rate", "--seed", "-1"], "--seed -1"),
        (["error-rate", "--model", "oracle:q=1"], "no parameter 'q'"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(maker, tmp_path, args, said):
    """Unknown names, a model where none is asked, a bad seed or a bad model: one message, exit code 2."""
    code, out, err = maker("experiment", *args, "--out", tmp_path)
    assert code == 2 and out == "" and said in err and "Traceback" not in err


def test_a_folder_that_cannot_be_written_is_said(tmp_path, outcomes):
    """Rows that cannot be written are a TaskError that names the folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TaskError, match="cannot be written"):
        write(replace(outcomes["scaling"], files={}), tmp_path / "file")


def test_the_page_keeps_the_parts_that_are_not_run_again(outcomes, tmp_path, monkeypatch):
    """The page has each experiment's table and paragraphs; running one again replaces that part alone."""
    written = []
    monkeypatch.setattr(page, "write", lambda outcome, folder, parquet: written.append((outcome.name, folder, parquet)))
    monkeypatch.setattr(page, "load", lambda name: lambda options: outcomes[name])
    monkeypatch.setattr(sys, "argv", ["page", "--docs", str(tmp_path)])
    page.main()
    text = (tmp_path / "experiments.md").read_text()
    for name in NAMES:
        assert f"\n## {name}\n" in text and f"figures/{name}.png" in text and outcomes[name].shows in text
        assert markdown(outcomes[name].table) in text
    assert written == [(name, tmp_path / "figures", False) for name in NAMES]
    changed = replace(outcomes["scaling"], shows="Something else.")
    monkeypatch.setattr(page, "load", lambda name: lambda options: changed)
    monkeypatch.setattr(sys, "argv", ["page", "scaling", "--docs", str(tmp_path)])
    page.main()
    assert (tmp_path / "experiments.md").read_text() == text.replace(outcomes["scaling"].shows, "Something else.")


def test_tables_line_up():
    """A table's columns begin at the same place in every line."""
    lines = aligned([["a", "bb"], ["ccc", "d"]]).splitlines()
    assert lines == ["a    bb", "-------", "ccc  d"]
