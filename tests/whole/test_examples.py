"""Every example runs from an empty folder, without a key, and prints what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from maker import verify
from maker.testing import FaultServer, Reply
from maker.testing.replies import Received

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {"dataframe.py": ["pandas", "pyarrow"]}  # beside what maker needs

# Arguments, and what the output must hold; an example that is not here runs without arguments. Where a simulated
# model is used, the output says so.
EXPECTED: dict[str, tuple[list[str], list[str]]] = {
    "agent_node.py": ([], ["look_up bolts\n", "order nuts 50\n", "{'washers': 90, 'nuts': 62, 'bolts': 90}"]),
    "classify.py": ([], ["topic='delivery' urgent=True stars=1", "8 samples, 3 flagged, votes [4, 1]"]),
    "custom_flag.py": ([], ["default flags: Sydney", "with hedging: Canberra", "{'hedging': 4}"]),
    "extract_table.py": (["sales.db"], ["Okafor     apples    2 kg   5.40", "Abe        plums     3 kg   5.10"]),
    "million.py": (["8", "eight.db"], ["solved: True, steps: 255", "simulated"]),
    "own_task.py": ([], ["157 in 4 steps", "simulated"]),
    "resume.py": (["run.db"], ["signal 9", "solved: True, wrong: 0", "without a crash: True", "simulated"]),
    "revote_example.py": (["run.db"], ["511 steps", "with k = 5:   0 steps", "simulated"]),
    "task_from_function.py": ([], ["27 reached 1 in 111 steps", "simulated"]),
    "vote.py": ([], ["positive {'positive': 4, 'negative': 1} 1 flagged"]),
}
SERVED = {"agent_loop.py"}  # they need a server, and have a test of their own


def run(folder: Path, *command: str) -> str:
    """Run a command in a folder and return what it prints."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted({path.name for path in EXAMPLES.glob("*.py")} - SERVED))
def test_example(name: str, tmp_path: Path):
    """An example runs as it stands and prints its result."""
    for module in NEEDS.get(name, []):
        pytest.importorskip(module)
    args, words = EXPECTED.get(name, ([], []))
    said = run(tmp_path, str(EXAMPLES / name), *args)
    assert said.strip()
    for word in words:
        assert word in said


def agent(received: Received) -> Reply:
    """Look up, then ask for the price, then say it; one reply in five calls another tool, or one that is not there."""
    results = [message for message in received.body["messages"] if message["role"] == "tool"]
    if len(results) == 2:
        return Reply(f"They cost ${results[1]['content']}, as reply {received.number} says.")
    asked = [("look_up", {"item": "nuts"}), ("price", {"item": "nuts", "count": 38})][len(results)]
    name, arguments = {0: ("delete", {}), 3: ("look_up", {"item": "bolts"})}.get(received.number % 8, asked)
    call = {"id": f"c{received.number}", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return Reply(None, finish="tool_calls", message={"tool_calls": [call]})


def test_the_agent_loop_is_resumed(tmp_path: Path):
    """It calls what won, in order; the same command again says the same and asks nothing."""
    said = "look_up {'item': 'nuts'} -> 12\nprice {'item': 'nuts', 'count': 38} -> 9.5\nThey cost $9.5, as reply "
    with FaultServer(agent) as server:
        command = [str(EXAMPLES / "agent_loop.py"), "stock.db", server.spec("m")]
        first = run(tmp_path, *command)
        assert first.startswith(said)
        calls = len(server.requests)
        assert run(tmp_path, *command) == first
        assert len(server.requests) == calls
        for received in server.requests:  # each conversation is one that chat servers take
            told = received.body["messages"]
            asked = [call["id"] for message in told for call in message.get("tool_calls", ())]
            assert asked == [message["tool_call_id"] for message in told if message["role"] == "tool"]
            assert len(set(asked)) == len(asked)
    assert verify(tmp_path / "stock.db").solved


def test_an_example_is_one_screen():
    """None is longer than 60 lines."""
    long = [path.name for path in EXAMPLES.glob("*.py") if len(path.read_text().splitlines()) > 60]
    assert long == []


def test_the_table_is_resumed_from_its_journal(tmp_path: Path):
    """The same command on the same journal prints the same table, and asks nothing again."""
    first = run(tmp_path, str(EXAMPLES / "extract_table.py"), "sales.db")
    size = (tmp_path / "sales.db").stat().st_size
    assert run(tmp_path, str(EXAMPLES / "extract_table.py"), "sales.db") == first
    assert (tmp_path / "sales.db").stat().st_size == size


def test_voting_saved_the_steps_that_a_single_vote_loses(tmp_path: Path):
    """Counted again with k = 1 some steps have another winner; with the run's own k none has."""
    lines = run(tmp_path, str(EXAMPLES / "revote_example.py")).splitlines()
    changed = {line.split(":")[0]: int(line.split(":")[1].split()[0]) for line in lines if line.startswith("with k")}
    assert changed["with k = 1"] > 0 == changed["with k = 5"]


def test_tasks_of_the_examples_run_from_the_command_line(tmp_path: Path):
    """The commands in the docstrings work: a class of a file, and a function that returns a task."""
    for task, parameters, answer in (
        ("own_task.py:Total", ["--numbers", "3,1,4"], "8"),
        ("task_from_function.py:collatz", ["--start", "6"], "1"),
    ):
        command = ["-m", "maker", "run", f"{EXAMPLES / task}", *parameters, "--model", "oracle:p=0.9", "--k", "4"]
        assert json.loads(run(tmp_path, *command, "--json"))["answer"] == answer
