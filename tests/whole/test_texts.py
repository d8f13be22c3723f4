"""Texts as odd as texts can be, on a machine that knows ASCII alone: no command breaks over them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TASK = '''
class Odd:
    """Asks for texts with surrogates, NUL, controls, marks of direction and what a spreadsheet would run."""

    name = "odd \\ud800\\u00e9"
    steps = 4
    text = "=a\\x00b \\ud800 \\u202e \\u00e9 \\U0001f600 \\x1b[31m,\\"\\r\\t"

    def __init__(self, word="\\udce9\\x00"):
        self.parameters = {"word": word}

    def initial_state(self):
        return self.text

    def prompt(self, state, step):
        return f"{self.text} {step} {state}"

    def parse(self, text):
        return text

    render = staticmethod(str)

    def legal(self, state, action):
        return True

    def apply(self, state, action):
        return action

    def done(self, state):
        return True

    def answer(self, state):
        return state

    def truth(self, state, step):
        return f"{self.text}{step}"

    def rivals(self, state, step):
        return ["\\udfff" + self.text]
'''
RUN = ["run", "odd.py:Odd", "--k", "3", "--model", "oracle:p=0.9,v=0.9", "--journal", "odd.db", "--keep-samples", "all"]
TOLD = [["show", "odd.db"], ["verify", "odd.db", "--task", "odd.py:Odd"], ["revote", "odd.db", "--k", "1"],
        ["revote", "odd.db", "--task", "odd.py:Odd", "--flags", "paper"], ["repair", "odd.db"],
        ["audit", "odd.db", "--task", "odd.py:Odd", "--by", "truth"],
        ["audit", "odd.db", "--task", "odd.py:Odd", "--by", "oracle:p=0.99"]]  # fmt: skip
WRITTEN = [*(["export", "odd.db", "--what", what, "-o", f"{what}.{kind}"] for what in ("steps", "samples")
             for kind in ("csv", "jsonl", "parquet")), ["export", "odd.db", "--raw", "-o", "raw.csv"],
           ["export", "odd.db", "-o", "\udce9.csv"]]  # fmt: skip
MISTAKEN = [["run", "\udce9\ud800"], ["run", "\x00.py:Odd"], ["run", "hanoi", "--od\udce9d", "\x00"],
            ["run", "odd.py:Odd", "--journal", "a\x00b"], ["run", "odd.py:Odd", "--ladder", "\ud800"],
            ["run", "odd.py:Odd", "--system", "@\x00"], ["solve", "\ud800\x00?"], ["estimate", "\ud800"]]  # fmt: skip
OTHERS = [["verify", "odd.db"], ["export", "odd.db", "-o", "\x00.csv"], ["report", "odd.db", "-o", "\x00.html"],
          ["repair", "\x00"], ["experiment", "\udce9\x00"], ["\ud800\x00"],
          *(["audit", "odd.db", "--task", "odd.py:Odd", *by] for by in (
              ["--by", "csv", "--to", "\x00"], ["--by", "\x00.py:f"], ["--by", "\ud800"],
              ["--by", "truth", "--items", "\x00"]))]  # fmt: skip
DRIVER = """
import ast, sys
from maker.cli import main
with open("codes", "w", buffering=1) as codes:
    for line in ast.literal_eval(open("commands", encoding="ascii").read()):
        sys.argv = ["maker", *line]
        try:
            main()
        except SystemExit as left:
            print(left.code, file=codes)
"""


def test_no_command_breaks_over_odd_texts(tmp_path: Path) -> None:
    """Each command says all in ASCII, reads and writes its files, and leaves with the exit code that it should."""
    (tmp_path / "odd.py").write_text(TASK, encoding="ascii")
    model = ["--model", "oracle:p=0.9"]
    commands = {
        0: [RUN, [*RUN, "--json"], *TOLD, *([*command, "--json"] for command in TOLD), *WRITTEN, ["tasks"], ["models"]],
        2: [*([*command, *model] for command in MISTAKEN), ["run", "hanoi", "--model", "or\udce9\x00"], *OTHERS],
    }
    listed = [command for group in commands.values() for command in group]
    (tmp_path / "commands").write_text(ascii(listed), encoding="ascii")
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=tmp_path, env=env, capture_output=True, timeout=120, check=False
    )
    assert b"Traceback" not in done.stderr and done.returncode == 0, done.stderr.decode()[-3000:]
    assert done.stdout.isascii() and done.stderr.isascii()
    codes = (tmp_path / "codes").read_text().split()
    wanted = [str(code) for code, group in commands.items() for _ in group]
    assert list(zip(listed, codes, strict=True)) == list(zip(listed, wanted, strict=True))
    assert json.loads((tmp_path / "samples.jsonl").read_bytes().splitlines()[0])["text"]
